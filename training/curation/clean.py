"""Clean a folder of images: files that cannot be used for training are moved away with a reason, and can
return.

Li (section 4) removes images that cannot be opened or are too small. Crawled sets also contain many
duplicates, and grey images, from which a generator learns grey.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image as Pillow

from engines.common.arrays import Image
from engines.common.image_files import SET_ASIDE_SUFFIX, list_images, make_folder, read_image, write_whole
from engines.errors import StreamtoonError
from training.curation.hashing import Seen, perceptual_hash
from training.data.parallel import parallel_map

Reason = Literal["unopenable", "tiny", "grey", "duplicate", "near-duplicate"]
REASONS: tuple[Reason, ...] = ("unopenable", "tiny", "grey", "duplicate", "near-duplicate")
REPORT = "report.json"

MAX_GREY_CHROMA = 10
"""Largest difference between a grey pixel's highest and lowest channel. JPEG causes small differences."""
GREY_SHARE = 0.995


@dataclass(frozen=True, slots=True)
class Found:
    """An image to move away."""

    path: str
    """Relative to the folder, with slashes."""
    reason: Reason
    detail: str
    """The measurement, as readable text."""


@dataclass(frozen=True, slots=True)
class MovedFile:
    """A line of the report."""

    found: Found
    place: str
    """Relative to the folder of moved files, with slashes."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The measurements of one image."""

    width: int
    height: int
    grey: bool
    digest: str
    """A hash of its pixels."""
    hash: int
    problem: str = ""
    """The reason why it cannot be opened. The other facts are then unknown."""


def measure(path: Path) -> Facts:
    """Return the facts of one file. A damaged file raises no exception."""
    try:
        # Pillow rejects a truncated file. OpenCV, with which training reads, fills the rest with grey.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pillow.open(path) as opened:
                opened.load()
        image = read_image(path)
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        return Facts(0, 0, False, "", 0, "is empty" if _is_empty(path) else f"is damaged: {error}")
    except StreamtoonError:
        return Facts(0, 0, False, "", 0, "has a format that training cannot read")
    height, width = image.shape[:2]
    luma = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    digest = hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()
    return Facts(width, height, is_grey(image), digest, perceptual_hash(luma))


def _is_empty(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def is_grey(image: Image) -> bool:
    """Return whether hardly any pixel of an H x W x 3 RGB image has a colour."""
    spread = image.max(-1).astype(np.int16) - image.min(-1)
    return bool((spread <= MAX_GREY_CHROMA).mean() >= GREY_SHARE)


def check(
    folder: Path,
    *,
    smallest: int = 256,
    near: int = 4,
    keep_grey: bool = False,
    workers: int | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> tuple[list[Found], int]:
    """Find the images to move away, without moving them.

    Of images that are equal or similar, the largest is kept, and the first by name among those.

    Args:
        folder: The folder of images.
        smallest: Least length of the shorter side, in pixels.
        near: Perceptual hashes of similar images differ in at most this many of 63 bits. A negative number
            compares pixels only.
        keep_grey: Whether grey images stay.
        workers: Processes; None for one per core.
        on_progress: Called with the number of checked images and their total.

    Returns:
        The images to move away, by name, and the number of images checked.

    Raises:
        StreamtoonError: The folder has no images.
    """
    paths = list_images(folder)
    facts: dict[Path, Facts] = {}
    for path, measured in parallel_map(measure, paths, workers):
        facts[path] = measured
        if on_progress:
            on_progress(len(facts), len(paths))
    name = partial(_relative, folder)
    found: list[Found] = []
    good: list[Path] = []
    for path in paths:
        each = facts[path]
        if each.problem:
            found.append(Found(name(path), "unopenable", each.problem))
        elif min(each.width, each.height) < smallest:
            found.append(Found(name(path), "tiny", f"{each.width}x{each.height}"))
        elif each.grey and not keep_grey:
            found.append(Found(name(path), "grey", "has no colour"))
        else:
            good.append(path)
    found += _repeated(good, facts, name, near)
    return sorted(found, key=lambda each: each.path), len(paths)


def _repeated(
    paths: list[Path], facts: dict[Path, Facts], name: Callable[[Path], str], near: int
) -> list[Found]:
    found, kept = [], list[Path]()
    seen, digests = Seen(), dict[str, Path]()

    def rank(path: Path) -> tuple[int, bool, Path]:
        # A link comes after the file that it may point to: moving that file would break the link.
        return -facts[path].width * facts[path].height, path.is_symlink(), path

    for path in sorted(paths, key=rank):
        each = facts[path]
        if each.digest in digests:
            found.append(Found(name(path), "duplicate", f"of {name(digests[each.digest])}"))
            continue
        like = seen.nearest(each.hash, near) if near >= 0 else None
        if like is not None:
            found.append(Found(name(path), "near-duplicate", f"of {name(kept[like])}"))
            continue
        digests[each.digest] = path
        seen.add(each.hash)
        kept.append(path)
    return found


def _relative(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


# --- moving away and restoring -------------------------------------------------------------------


def aside_folder(folder: Path) -> Path:
    """Return the folder of moved files, which is next to `folder`: files inside it would be trained on."""
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}{SET_ASIDE_SUFFIX}")


def set_aside(folder: Path, found: list[Found]) -> Path:
    """Move each image to REASON/PATH in the folder of moved files, and return the report's path.

    The report is written first, so that an interrupted run can be undone. Raises StreamtoonError if that
    fails.
    """
    place = aside_folder(folder)
    report = place / REPORT
    make_folder(place)
    before = _read_report(report) if report.exists() else []
    moves = [MovedFile(each, _free(place, f"{each.reason}/{each.path}")) for each in found]
    _write_report(report, folder, [*before, *moves])
    for move in moves:
        _move(folder / move.found.path, place / move.place)
    return report


def _free(place: Path, path: str) -> str:
    """Return `path`, with a number added if an earlier check moved another file of that name there."""
    free, number = path, 1
    while (place / free).exists():
        number += 1
        free = f"{path}.{number}"
    return free


def undo(folder: Path) -> tuple[int, list[str]]:
    """Move all files back to their places. Returns their number, and the paths of files that could not
    return.

    A file cannot return if its path is taken by another file. Raises StreamtoonError if there is no report.
    """
    place = aside_folder(folder)
    report = place / REPORT
    if not report.exists():
        raise StreamtoonError(f"{place} has no {REPORT}: no file of {folder} was moved there")
    moved, stuck = 0, list[MovedFile]()
    for each in _read_report(report):
        here, there = place / each.place, folder / each.found.path
        if not here.exists():
            continue  # never moved, or removed by the user
        if there.exists():
            stuck.append(each)
            continue
        _move(here, there)
        moved += 1
    if stuck:
        _write_report(report, folder, stuck)
    else:
        report.unlink()
    # Deepest folders first; a folder that is not empty stays.
    for old in sorted((path for path in place.rglob("*") if path.is_dir()), reverse=True):
        _remove_empty(old)
    _remove_empty(place)
    return moved, [each.found.path for each in stuck]


def _remove_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def _move(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
    except OSError as error:
        raise StreamtoonError(f"cannot move {source} to {target}: {error.strerror or error}") from error


def _read_report(path: Path) -> list[MovedFile]:
    try:
        lines = json.loads(path.read_bytes())["set_aside"]
        return [MovedFile(Found(**line["found"]), line["place"]) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StreamtoonError(f"{path} is damaged: {error}; move the files back by hand") from error


def _write_report(path: Path, folder: Path, moves: list[MovedFile]) -> None:
    data = {"folder": str(folder), "set_aside": [asdict(each) for each in moves]}
    write_whole(path, json.dumps(data, indent=1).encode())
