"""A folder of pictures cleaned: what cannot be trained on is set aside, with its reason, and can come back.

Li (section 4) removes what cannot be opened and what is too small; crawled sets are also full of pictures
that are there twice, and of grey ones, from which a generator learns to be grey.
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
"""Distance between a pixel's highest and lowest channel up to which it is grey: JPEG leaves a few."""
GREY_SHARE = 0.995


@dataclass(frozen=True, slots=True)
class Found:
    """A picture that is to be set aside."""

    path: str
    """Relative to the folder, with slashes."""
    reason: Reason
    detail: str
    """What was measured, for people."""


@dataclass(frozen=True, slots=True)
class MovedFile:
    """A line of the report."""

    found: Found
    place: str
    """Relative to the folder of what is set aside, with slashes."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is measured on one picture."""

    width: int
    height: int
    grey: bool
    digest: str
    """Of its pixels."""
    hash: int
    problem: str = ""
    """Why it cannot be opened; then nothing else is known."""


def measure(path: Path) -> Facts:
    """The facts of one file; never raises for what is wrong with the file."""
    try:
        # Pillow refuses a file that breaks off; OpenCV, which training reads by, fills the rest with grey.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Pillow.open(path) as opened:
                opened.load()
        image = read_image(path)
    except (OSError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        return Facts(0, 0, False, "", 0, "is empty" if _is_empty(path) else f"is damaged: {error}")
    except StreamtoonError:
        return Facts(0, 0, False, "", 0, "is of a kind that training cannot read")
    height, width = image.shape[:2]
    luma = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
    digest = hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()
    return Facts(width, height, is_grey(image), digest, perceptual_hash(luma))


def _is_empty(path: Path) -> bool:
    return path.is_file() and path.stat().st_size == 0


def is_grey(image: Image) -> bool:
    """True when hardly a pixel of H x W x 3 RGB has a colour."""
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
    """What is to be set aside, by name, and how many pictures were looked at. Nothing is moved.

    `smallest` is the least side in pixels. Of pictures that are the same, or whose perceptual hashes differ
    in up to `near` of 63 bits, the largest is kept, then the first by name; a `near` below 0 goes by equal
    pixels alone.
    Raises StreamtoonError when there is no picture at all.
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
        # A link behind the file that it may lead to: moving that away would leave it leading nowhere.
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


# --- setting aside and bringing back -----------------------------------------------------------------


def aside_folder(folder: Path) -> Path:
    """Where what is set aside goes: beside `folder`, as what is in it gets trained on."""
    folder = folder.resolve()
    return folder.with_name(f"{folder.name}{SET_ASIDE_SUFFIX}")


def set_aside(folder: Path, found: list[Found]) -> Path:
    """Move each to REASON/its own path in the folder of what is set aside; gives the report's path.

    The report is written first, so that a run that breaks off can be undone too. Raises StreamtoonError.
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
    """`path`, or with a number behind it where an earlier check has put another file of that name."""
    free, number = path, 1
    while (place / free).exists():
        number += 1
        free = f"{path}.{number}"
    return free


def undo(folder: Path) -> tuple[int, list[str]]:
    """Move everything that was set aside back to its place; gives how many, and what had to stay.

    What stays is a path that another file has taken since. Raises StreamtoonError when there is no report.
    """
    place = aside_folder(folder)
    report = place / REPORT
    if not report.exists():
        raise StreamtoonError(f"{place} holds no {REPORT}: nothing of {folder} has been set aside")
    moved, stuck = 0, list[MovedFile]()
    for each in _read_report(report):
        here, there = place / each.place, folder / each.found.path
        if not here.exists():
            continue  # never moved, or taken out by hand
        if there.exists():
            stuck.append(each)
            continue
        _move(here, there)
        moved += 1
    if stuck:
        _write_report(report, folder, stuck)
    else:
        report.unlink()
    # From the deepest up; a folder with anything left in it stays.
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
        raise StreamtoonError(f"{source} cannot be moved to {target}: {error.strerror or error}") from error


def _read_report(path: Path) -> list[MovedFile]:
    try:
        lines = json.loads(path.read_bytes())["set_aside"]
        return [MovedFile(Found(**line["found"]), line["place"]) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StreamtoonError(f"{path} is damaged: {error}; move the files back by hand") from error


def _write_report(path: Path, folder: Path, moves: list[MovedFile]) -> None:
    data = {"folder": str(folder), "set_aside": [asdict(each) for each in moves]}
    write_whole(path, json.dumps(data, indent=1).encode())
