"""The images to score: those found in a folder, without the files that cannot be used, which are listed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image as PillowImage

from engines.common.arrays import Image
from engines.common.image_files import list_images, read_image
from engines.errors import StreamtoonError
from eval.scoring.results import Skipped

Item = TypeVar("Item")
READER_THREADS = 4
"""Threads that check files. Reading and decoding release the GIL."""
GREY = ("1", "L", "I", "I;16", "I;16B", "I;16L", "F")
TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")


@dataclass(frozen=True, slots=True)
class ImageSet:
    """The colour images of a folder, sorted by name, and the skipped files."""

    folder: Path
    paths: tuple[Path, ...]
    skipped: tuple[Skipped, ...]
    smallest: int
    """The shortest side of all images in pixels."""

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Image]:
        return (read_image(path) for path in self.paths)


def find_images(folder: Path) -> ImageSet:
    """Check every image in `folder`. Raises StreamtoonError if none can be scored.

    Grey and transparent images are skipped. Features of photographs' colours are meaningless for the first,
    and the background of the second is unknown.
    """
    if not folder.is_dir():
        raise StreamtoonError(f"{folder} is not a folder; give a folder of images")
    paths = list_images(folder)
    with ThreadPoolExecutor(READER_THREADS) as pool:
        looks = list(pool.map(_inspect, paths))
    used = [path for path, look in zip(paths, looks, strict=True) if isinstance(look, int)]
    skipped = [Skipped(path, look) for path, look in zip(paths, looks, strict=True) if isinstance(look, str)]
    if not used:
        reasons = ", ".join(sorted({one.reason for one in skipped}))
        raise StreamtoonError(f"{folder}: none of its {len(skipped)} images can be scored ({reasons})")
    smallest = min(look for look in looks if isinstance(look, int))
    return ImageSet(folder, tuple(used), tuple(skipped), smallest)


def sample_evenly(items: Sequence[Item], count: int) -> list[Item]:
    """Return at most `count` evenly spaced items, in order."""
    count = min(count, len(items))
    return [items[(2 * at + 1) * len(items) // (2 * count)] for at in range(count)]


def require_different(folders: Mapping[str, Path]) -> None:
    """Raise StreamtoonError if two of the named folders are the same: scoring a set against itself is
    useless.
    """
    seen: dict[Path, str] = {}
    for name, folder in folders.items():
        twin = seen.setdefault(folder.resolve(), name)
        if twin != name:
            raise StreamtoonError(
                f"{twin} and {name} are the same folder, {folder}; give two different folders"
            )


def _inspect(path: Path) -> int | str:
    """Return the shorter side in pixels, or the reason why the image cannot be used."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with PillowImage.open(path) as opened:
                mode, transparent = opened.mode, "transparency" in opened.info
        if mode in GREY:
            return "grey"
        if mode in TRANSPARENT or transparent:
            return "transparent"
        height, width = read_image(path).shape[:2]
        return min(int(height), int(width))
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError, StreamtoonError):
        return "cannot be opened"
