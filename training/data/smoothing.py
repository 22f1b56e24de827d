"""Edge-smoothed copies of drawings: what a discriminator is shown as wrong, so that it asks for clear edges.

CartoonGAN (Chen, Lai and Liu, CVPR 2018, section 3.2.1) in three steps: edges by Canny's detector, made wider
by dilation, and Gaussian smoothing there and nowhere else. AnimeGAN trains against the same copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from engines.errors import StreamtoonError
from training.data.files import Image, list_pictures, read_picture, write_picture
from training.data.many import for_each

WEAK, STRONG = 100, 200
"""Canny's thresholds on the gradient; the papers give none."""


def smooth_edges(image: Image, width: int = 5) -> Image:
    """H x W x 3 RGB with its edges smoothed; pixels away from edges keep their exact values.

    `width`, odd, is the side of the square that edges are dilated by and of the Gaussian's window, in pixels.
    """
    edges = cv2.Canny(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), WEAK, STRONG)
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
    """A sentence for each picture that could not be read or written."""


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
    picture, or when `out` lies in `folder` or the other way round.
    """
    here, there = folder.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise StreamtoonError(f"{out} and {folder} lie in one another; name a folder elsewhere")
    paths = list_pictures(folder)
    todo = [path for path in paths if not _is_there(path, out / path.relative_to(folder))]
    present = len(paths) - len(todo)
    failed: list[str] = []
    for done, (_, problem) in enumerate(for_each(partial(_copy, folder, out, width), todo, workers), 1):
        if problem:
            failed.append(problem)
        if on_progress:
            on_progress(present + done, len(paths))
    return Smoothed(len(todo) - len(failed), present, tuple(sorted(failed)))


def _is_there(path: Path, copy: Path) -> bool:
    return copy.exists() and copy.stat().st_mtime >= path.stat().st_mtime


def _copy(folder: Path, out: Path, width: int, path: Path) -> str:
    """Empty when it went well."""
    target = out / path.relative_to(folder)
    try:
        image = read_picture(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_picture(target, smooth_edges(image, width))
    except StreamtoonError as error:
        return str(error)
    except OSError as error:
        return f"{target} cannot be written: {error.strerror or error}"
    return ""


def failures(sentences: tuple[str, ...], most: int = 5) -> Iterator[str]:
    """The first few, and how many more there are."""
    yield from sentences[:most]
    if len(sentences) > most:
        yield f"{len(sentences) - most} more like that"
