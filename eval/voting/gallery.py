"""The images of a vote: made before it begins and stored next to the table, with names by their content."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from engines.common.arrays import Image
from engines.common.image_files import list_images, make_folder, read_image, write_image
from engines.errors import StreamtoonError
from eval.scoring.results import Skipped
from eval.voting.ballot import MAX_CANDIDATES, Ballot, VoteItem

if TYPE_CHECKING:
    from eval.scoring.candidates import Candidate

LONG_SIDE_PIXELS = 1280
"""Longer side in pixels. Larger photos and their results are reduced to it."""
WEBP_QUALITY = 92
"""Quality of the WebP files."""
_MADE_AS = f"1 {LONG_SIDE_PIXELS} {WEBP_QUALITY}"
_MAX_ASPECT_DIFFERENCE = 0.03
"""Largest difference in aspect ratio between result and photo, from rounding sides to a network's
multiple.
"""


@dataclass(frozen=True, slots=True)
class GalleryPhoto:
    """A photo that was chosen for the vote."""

    name: str
    """The path inside the folder, with slashes."""
    path: Path
    key: str
    """A hash of the file's content."""


def choose(folder: Path, count: int, seed: int) -> tuple[list[GalleryPhoto], tuple[Skipped, ...]]:
    """Choose random photos. A larger count with the same seed contains the photos of a smaller one.

    Photos that cannot be opened, and copies of chosen photos, are skipped and listed. Raises StreamtoonError
    if fewer than `count` remain.
    """
    if not folder.is_dir():
        raise StreamtoonError(f"{folder} is not a folder; give a folder of photos")
    paths = list_images(folder)
    random.Random(seed).shuffle(paths)  # noqa: S311 - a draw, not a key
    photos: list[GalleryPhoto] = []
    skipped: list[Skipped] = []
    for path in paths:
        if len(photos) == count:
            break
        name = path.relative_to(folder).as_posix()
        if not name.isprintable():
            skipped.append(Skipped(path, "its name contains characters that a table cannot store"))
            continue
        try:
            read_image(path)
        except StreamtoonError:
            skipped.append(Skipped(path, "cannot be opened"))
            continue
        photo = GalleryPhoto(name, path, hashlib.sha256(path.read_bytes()).hexdigest()[:24])
        if twin := next((other for other in photos if other.key == photo.key), None):
            skipped.append(Skipped(path, f"a copy of {twin.name}"))
        else:
            photos.append(photo)
    if len(photos) < count:
        raise StreamtoonError(
            f"{folder} has {_some(len(photos), 'photo')} that can be voted on, but {count} are "
            "needed; add photos, or reduce --pictures"
        )
    return photos, tuple(skipped)


def require_candidates(names: Sequence[str]) -> None:
    """Raise StreamtoonError unless there are two to nine candidates with different, valid names."""
    if not 2 <= len(names) <= MAX_CANDIDATES:
        raise StreamtoonError(f"a vote needs 2 to {MAX_CANDIDATES} candidates, but there are {len(names)}")
    for name in names:
        if not name.isprintable():
            raise StreamtoonError(f"{name!r} is not a valid name for a candidate; rename it")
        if names.count(name) > 1:
            raise StreamtoonError(f"two candidates are called {name}; give each one once")


def prepare(
    candidates: Sequence[Candidate],
    photos: Sequence[GalleryPhoto],
    work: Path,
    *,
    seed: int = 0,
    tick: Callable[[int, int], object] | None = None,
) -> Ballot:
    """Make the missing images in `work` and return the ballot.

    Args:
        candidates: The candidates.
        photos: The chosen photos.
        work: The folder of the images.
        seed: Random seed of the orders.
        tick: Called with the number of finished results and their total.

    Raises:
        StreamtoonError: A candidate failed, a result has another shape than its photo, or the folder cannot
            be written.
    """
    require_candidates([candidate.name for candidate in candidates])
    originals = work / "photos"
    make_folder(originals)
    total, done = len(candidates) * len(photos), 0
    shown = {photo.key: originals / f"{_hash(_MADE_AS, photo.key)}.webp" for photo in photos}
    for photo in photos:
        if not shown[photo.key].exists():
            write_image(shown[photo.key], _fitted(read_image(photo.path)), WEBP_QUALITY)
    results: dict[str, dict[str, Path]] = {photo.key: {} for photo in photos}
    for candidate in candidates:
        folder = work / _hash(_MADE_AS, *_identity(candidate))
        make_folder(folder)
        for photo in photos:
            results[photo.key][candidate.name] = folder / f"{photo.key}.webp"
        missing = [photo for photo in photos if not results[photo.key][candidate.name].exists()]
        done += len(photos) - len(missing)
        for photo, image in zip(missing, _made(candidate, missing), strict=True):
            size = _size(read_image(shown[photo.key]))
            _require_shape(candidate.name, photo, image, size)
            write_image(results[photo.key][candidate.name], _resized(image, size), WEBP_QUALITY)
            done += 1
            if tick:
                tick(done, total)
    items = tuple(VoteItem(photo.name, shown[photo.key], results[photo.key]) for photo in photos)
    return Ballot(tuple(candidate.name for candidate in candidates), items, seed)


def _made(candidate: Candidate, photos: Sequence[GalleryPhoto]) -> Iterator[Image]:
    """Yield the results. The candidate is opened only if results are missing."""
    if photos:
        yield from candidate.pictures([photo.path for photo in photos])


def _identity(candidate: Candidate) -> Iterator[str]:
    """Yield everything that a candidate's results depend on, apart from the photo."""
    yield candidate.name
    if candidate.style is not None:
        yield from (f"{name} {value}" for name, value in sorted(candidate.style.sha256.items()))
        yield hashlib.sha256((candidate.style.folder / "card.toml").read_bytes()).hexdigest()
        yield repr(candidate.style.look)  # a user's look file changes the look over another style's card
    elif "folder" in candidate.facts:
        folder = Path(candidate.facts["folder"])
        for path in list_images(folder):
            yield path.relative_to(folder).as_posix()
            yield hashlib.sha256(path.read_bytes()).hexdigest()
    else:
        yield json.dumps(candidate.facts, sort_keys=True, default=str)


def _require_shape(name: str, photo: GalleryPhoto, image: Image, size: tuple[int, int]) -> None:
    width, height = _size(image)
    if abs(np.log((width / height) / (size[0] / size[1]))) > _MAX_ASPECT_DIFFERENCE:
        raise StreamtoonError(
            f"{name}: its result for {photo.name} is {width}x{height}, which is not the shape of "
            "the photo; voters could recognize it"
        )


def _fitted(photo: Image) -> Image:
    width, height = _size(photo)
    scale = min(1.0, LONG_SIDE_PIXELS / max(width, height))
    return _resized(photo, (max(1, round(width * scale)), max(1, round(height * scale))))


def _resized(image: Image, size: tuple[int, int]) -> Image:
    if _size(image) == size:
        return image
    smaller = image.shape[1] > size[0]
    resized = cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _size(image: Image) -> tuple[int, int]:
    """Return width and height."""
    return image.shape[1], image.shape[0]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
