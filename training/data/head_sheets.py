"""Sheets of the heads in a photograph, small, dim and blurred: what portraits lack and videos are full of.

Each cell of a sheet shows a face of the photograph at a random size, turned a little. Half of what follows is
random, too: blur, haze, darkness, noise, JPEG. The features that a network should draw are measured before
that, so it learns to draw the eyes of heads in which a filter finds none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Image
from training.abstraction.face_finder import Face
from training.abstraction.face_ink import face_size

ROWS, COLUMNS = 2, 3
CELL_PIXELS = 240
"""Side of a cell: more than a crop of the training."""
MIN_HEAD_PIXELS, MAX_HEAD_PIXELS = 22.0, 120.0
"""Sizes of faces on a sheet. All octaves between are equally frequent."""
TURN_DEGREES = 8.0
"""Standard deviation of the rotation of a cell."""


def head_sheet(
    photo: Image, faces: Sequence[Face], rng: np.random.Generator
) -> tuple[Image, Image, list[Face]]:
    """Return a sheet of heads, the same sheet before it was made worse, and the faces on it.

    Args:
        photo: H x W x 3 RGB.
        faces: The faces that it shows, at least one.
        rng: Random numbers.
    """
    clear = np.empty((ROWS * CELL_PIXELS, COLUMNS * CELL_PIXELS, 3), np.uint8)
    seen = np.empty_like(clear)
    found = []
    for place in range(ROWS * COLUMNS):
        top, left = (CELL_PIXELS * at for at in divmod(place, COLUMNS))
        cell, shown = _cell(photo, faces, faces[int(rng.integers(len(faces)))], rng)
        here = slice(top, top + CELL_PIXELS), slice(left, left + CELL_PIXELS)
        clear[here], seen[here] = cell, _degraded(cell, rng)
        found += [Face(face.points + np.array([left, top], np.float32)) for face in shown]
    return seen, clear, found


def _cell(
    photo: Image, faces: Sequence[Face], face: Face, rng: np.random.Generator
) -> tuple[Image, list[Face]]:
    """Return a square around a face at a random size, and the faces that are wholly in it."""
    wanted = float(np.exp(rng.uniform(np.log(MIN_HEAD_PIXELS), np.log(MAX_HEAD_PIXELS))))
    size = face_size(face)
    scale = min(1.0, wanted / size)
    middle = (face.points.min(0) + face.points.max(0)) / 2 + rng.uniform(-0.3, 0.3, 2) * size
    matrix = cv2.getRotationMatrix2D(middle.tolist(), float(rng.normal(0, TURN_DEGREES)), scale)
    matrix[:, 2] += CELL_PIXELS / 2 - middle
    if scale < 0.6:  # or pixels would be skipped
        photo = np.asarray(cv2.GaussianBlur(photo, (0, 0), 0.45 / scale), np.uint8)
    cell = cv2.warpAffine(
        photo, matrix, (CELL_PIXELS,) * 2, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    moved = [face.moved(matrix) for face in faces]
    inside = [face for face in moved if face.points.min() > -5 and face.points.max() < CELL_PIXELS + 5]
    return np.asarray(cell, np.uint8), inside


def _degraded(cell: Image, rng: np.random.Generator) -> Image:
    """Return what a poor camera in poor light might have recorded."""
    light: NDArray[Any] = cell.astype(np.float32)
    if rng.random() < 0.65:
        light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.4, 1.8))
    if rng.random() < 0.75:
        mean = light.mean((0, 1))
        light = mean + (light - mean) * rng.uniform(0.3, 1)
        light = light * rng.uniform(0.35, 1.1) + rng.uniform(0, 60) * (rng.random() < 0.4)
    if rng.random() < 0.3:
        light = light * rng.uniform(0.85, 1.15, 3)
    if rng.random() < 0.5:
        light = light + rng.standard_normal(light.shape) * rng.uniform(1, 5)
    worse: Image = np.clip(light, 0, 255).astype(np.uint8)
    if rng.random() < 0.6:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))]
        worse = np.asarray(cv2.imdecode(cv2.imencode(".jpg", worse, quality)[1], cv2.IMREAD_COLOR), np.uint8)
    return worse
