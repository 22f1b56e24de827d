"""Make edge-smoothed copies of drawings. A discriminator learns to reject them, so that edges become clear.

CartoonGAN (Chen, Lai and Liu, CVPR 2018, section 3.2.1) has three steps: edges by Canny's detector, dilation
of the edges, and Gaussian smoothing only there. AnimeGAN uses the same copies.
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
"""Canny's thresholds on the gradient. The papers do not specify them."""


def smooth_edges(image: Image, width: int = 5) -> Image:
    """Smooth the edges of an H x W x 3 RGB image. Pixels away from edges keep their exact values.

    `width`, odd, is the side of the dilation's square and of the Gaussian's window, in pixels.
    """
    edges = cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), CANNY_LOW, CANNY_HIGH)
    near = cv2.dilate(edges, np.ones((width, width), np.uint8))
    smooth = cv2.GaussianBlur(image, (width, width), 0)
    return np.where(near[..., None] > 0, smooth, image).astype(np.uint8)


@dataclass(frozen=True, slots=True)
class Smoothed:
    """The result of a run."""

    written: int
    present: int
    """Existing copies that are not older than their originals."""
    failed: tuple[str, ...]
    """One sentence for each image that could not be read."""


def smooth_folder(
    folder: Path,
    out: Path,
    *,
    width: int = 5,
    workers: int | None = None,
    on_progress: Callable[[int, int], object] | None = None,
) -> Smoothed:
    """Write edge-smoothed copies of all images in `folder`, with the same relative names, to `out`.

    Copies are lossless, except for JPEG at its best quality.

    Args:
        folder: The folder of images.
        out: The folder of copies, which must be outside `folder`.
        width: Side of the dilation's square and of the Gaussian's window in pixels, odd.
        workers: Processes; None for one per core.
        on_progress: Called with the number of finished images and their total.

    Returns:
        The numbers of copies and the failures.

    Raises:
        StreamtoonError: There are no images, `out` cannot be written or has other files than copies of this
            width, or one of the folders is inside the other.
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
    """Raise StreamtoonError unless `out` is for copies of this `width`. An empty folder is marked so."""
    note = out / NOTE_NAME
    try:
        if any(out.iterdir()) and not note.exists():
            raise StreamtoonError(f"{out} already contains other files; give a new or empty folder")
        noted = json.loads(note.read_bytes())["width"] if note.exists() else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StreamtoonError(f"{note} cannot be read: {error}; give a new or empty folder") from error
    if noted not in (None, width):
        raise StreamtoonError(
            f"{out} contains copies smoothed with a width of {noted} pixels, not {width}; give "
            f"another folder, or use --width {noted}"
        )
    write_whole(note, json.dumps({"width": width}).encode())


def _is_there(path: Path, copy: Path) -> bool:
    return copy.exists() and copy.stat().st_mtime >= path.stat().st_mtime


def _copy(folder: Path, out: Path, width: int, path: Path) -> str:
    """Write one copy. Returns "" or the reason why it failed."""
    target = out / path.relative_to(folder)
    try:
        image = read_image(path)
    except StreamtoonError as error:
        return str(error)
    make_folder(target.parent)
    write_image(target, smooth_edges(image, width))
    return ""
