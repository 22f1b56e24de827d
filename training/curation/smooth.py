"""Edge-smoothed copies of drawings: what a discriminator is shown as wrong, so that it asks for clear edges.

CartoonGAN (Chen, Lai and Liu, CVPR 2018, section 3.2.1) in three steps: edges by Canny's detector, made wider
by dilation, and Gaussian smoothing there and nowhere else. AnimeGAN trains against the same copies.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from engines.common.arrays import Image
from engines.common.image_files import (
    list_images,
    make_folder,
    read_image,
    require_separate,
    write_image,
    write_whole,
)
from engines.errors import StreamtoonError
from training.data.parallel import parallel_map

NOTE_NAME = "smooth.json"
"""The file in a folder of copies that says how they were made."""

CANNY_LOW, CANNY_HIGH = 100, 200
"""Canny's thresholds on the gradient; the papers give none."""


def smooth_edges(image: Image, width: int = 5) -> Image:
    """H x W x 3 RGB with its edges smoothed; pixels away from edges keep their exact values.

    `width`, odd, is the side of the square that edges are dilated by and of the Gaussian's window, in pixels.
    """
    edges = cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), CANNY_LOW, CANNY_HIGH)
    near = cv2.dilate(edges, np.ones((width, width), np.uint8))
    smooth = cv2.GaussianBlur(image, (width, width), 0)
    return np.where(near[..., None] > 0, smooth, image).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Smoothed:
    """What a run did."""

    written: int
    present: int
    """Copies that were there already, no older than their originals."""
    failed: tuple[str, ...]
    """A sentence for each picture that could not be read."""


def smooth_folder(
    folder: Path,
    out: Path,
    *,
    width: int = 5,
    workers: int | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> Smoothed:
    """Edge-smoothed copies of all pictures in `folder`, under the same relative names in `out`.

    Copies are lossless but for JPEG, which is written at its best. Raises StreamtoonError when there is no
    picture, when `out` cannot be written or holds anything but copies of this width, or when it lies in
    `folder` or the other way round.
    """
    require_separate(folder, out)
    paths = list_images(folder)
    make_folder(out)
    _require_copies(out, width)
    todo = [path for path in paths if not _is_there(path, out / path.relative_to(folder))]
    present = len(paths) - len(todo)
    failed: list[str] = []
    for done, (_, problem) in enumerate(parallel_map(partial(_copy, folder, out, width), todo, workers), 1):
        if problem:
            failed.append(problem)
        if on_progress:
            on_progress(present + done, len(paths))
    return Smoothed(len(todo) - len(failed), present, tuple(sorted(failed)))


def _require_copies(out: Path, width: int) -> None:
    """Raises StreamtoonError when `out` is not for copies of this `width`; notes that it is when empty."""
    note = out / NOTE_NAME
    try:
        if any(out.iterdir()) and not note.exists():
            raise StreamtoonError(f"{out} holds other files already; name a new or an empty folder")
        noted = json.loads(note.read_bytes())["width"] if note.exists() else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StreamtoonError(f"{note} cannot be read: {error}; name a new or an empty folder") from error
    if noted not in (None, width):
        raise StreamtoonError(
            f"{out} holds copies smoothed over {noted} pixels, not {width}; name another folder,"
            f" or give --width {noted}"
        )
    write_whole(note, json.dumps({"width": width}).encode())


def _is_there(path: Path, copy: Path) -> bool:
    return copy.exists() and copy.stat().st_mtime >= path.stat().st_mtime


def _copy(folder: Path, out: Path, width: int, path: Path) -> str:
    """Empty when it went well."""
    target = out / path.relative_to(folder)
    try:
        image = read_image(path)
    except StreamtoonError as error:
        return str(error)
    make_folder(target.parent)
    write_image(target, smooth_edges(image, width))
    return ""
