"""The pictures of a vote: made before it begins, kept beside the table, named by what they were made of."""

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
"""Pixels; larger photos, and the results with them, are shown at this size."""
WEBP_QUALITY = 92
"""Of the WebP files."""
_MADE_AS = f"1 {LONG_SIDE_PIXELS} {WEBP_QUALITY}"
_MAX_ASPECT_DIFFERENCE = 0.03
"""By how much a result's shape may differ from its photo's: sides rounded to a network's multiple."""


@dataclass(frozen=True, slots=True)
class GalleryPhoto:
    """One that was drawn for the vote."""

    name: str
    """Its path inside the folder, with slashes."""
    path: Path
    key: str
    """Of its file's content."""


def choose(folder: Path, count: int, seed: int) -> tuple[list[GalleryPhoto], tuple[Skipped, ...]]:
    """Draws photos by chance. Those of a smaller count are among those of a larger one with the same seed.

    Photos that cannot be opened, and copies of one that is in, are left out and named. Raises
    StreamtoonError when there are fewer than `count`.
    """
    if not folder.is_dir():
        raise StreamtoonError(f"{folder} is not a folder; name one with photos")
    paths = list_images(folder)
    random.Random(seed).shuffle(paths)  # noqa: S311 - a draw, not a key
    photos: list[GalleryPhoto] = []
    skipped: list[Skipped] = []
    for path in paths:
        if len(photos) == count:
            break
        name = path.relative_to(folder).as_posix()
        if not name.isprintable():
            skipped.append(Skipped(path, "its name holds characters that no table can"))
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
            f"{folder} holds {_some(len(photos), 'photo')} that can be voted on and {count} are wanted; "
            f"add photos, or vote on fewer with --pictures"
        )
    return photos, tuple(skipped)


def require_candidates(names: Sequence[str]) -> None:
    """Raises StreamtoonError unless they are two to nine, of different names that a table can hold."""
    if not 2 <= len(names) <= MAX_CANDIDATES:
        raise StreamtoonError(f"a vote is between 2 and {MAX_CANDIDATES} candidates; {len(names)} are named")
    for name in names:
        if not name.isprintable():
            raise StreamtoonError(f"{name!r} cannot be a candidate's name; rename it")
        if names.count(name) > 1:
            raise StreamtoonError(f"two candidates are called {name}; name each one once")


def prepare(
    candidates: Sequence[Candidate],
    photos: Sequence[GalleryPhoto],
    work: Path,
    *,
    seed: int = 0,
    tick: Callable[[int, int], object] | None = None,
) -> Ballot:
    """Makes what is missing in `work` and lays out the vote.

    `tick` is called with how many results are there, and how many there will be. Raises StreamtoonError: a
    candidate's own, one for a result of another shape than its photo's, one for a folder not to be written.
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
        for photo, picture in zip(missing, _made(candidate, missing), strict=True):
            size = _size(read_image(shown[photo.key]))
            _require_shape(candidate.name, photo, picture, size)
            write_image(results[photo.key][candidate.name], _resized(picture, size), WEBP_QUALITY)
            done += 1
            if tick:
                tick(done, total)
    items = tuple(VoteItem(photo.name, shown[photo.key], results[photo.key]) for photo in photos)
    return Ballot(tuple(candidate.name for candidate in candidates), items, seed)


def _made(candidate: Candidate, photos: Sequence[GalleryPhoto]) -> Iterator[Image]:
    """Nothing is opened where nothing is missing."""
    if photos:
        yield from candidate.pictures([photo.path for photo in photos])


def _identity(candidate: Candidate) -> Iterator[str]:
    """What a candidate's results hang on beside the photo."""
    yield candidate.name
    if candidate.style is not None:
        yield from (f"{name} {value}" for name, value in sorted(candidate.style.sha256.items()))
        yield hashlib.sha256((candidate.style.folder / "card.toml").read_bytes()).hexdigest()
        yield repr(candidate.style.look)  # which a user's look file changes, over another style's card
    elif "folder" in candidate.facts:
        folder = Path(candidate.facts["folder"])
        for path in list_images(folder):
            yield path.relative_to(folder).as_posix()
            yield hashlib.sha256(path.read_bytes()).hexdigest()
    else:
        yield json.dumps(candidate.facts, sort_keys=True, default=str)


def _require_shape(name: str, photo: GalleryPhoto, picture: Image, size: tuple[int, int]) -> None:
    width, height = _size(picture)
    if abs(np.log((width / height) / (size[0] / size[1]))) > _MAX_ASPECT_DIFFERENCE:
        raise StreamtoonError(
            f"{name}: its result for {photo.name} is {width}x{height}, another shape than the photo's; "
            "voters would tell it by that"
        )


def _fitted(photo: Image) -> Image:
    width, height = _size(photo)
    scale = min(1.0, LONG_SIDE_PIXELS / max(width, height))
    return _resized(photo, (max(1, round(width * scale)), max(1, round(height * scale))))


def _resized(picture: Image, size: tuple[int, int]) -> Image:
    if _size(picture) == size:
        return picture
    smaller = picture.shape[1] > size[0]
    resized = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
    return np.asarray(resized, np.uint8)


def _size(picture: Image) -> tuple[int, int]:
    """Width and height."""
    return picture.shape[1], picture.shape[0]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _some(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
