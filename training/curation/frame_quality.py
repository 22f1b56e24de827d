"""Detect frames that are useless for a data set: black, flat, credits, blurred.

Everything is measured on a small copy of the luma, H x W, 0 black to 255 white.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]
Fault = Literal["black", "flat", "credits", "blurred"]

MAX_BLACK_LUMA = 48
"""A frame is black if its brightest hundredth stays below this luma."""
MAX_FLAT_DISTANCE = 6
"""Largest difference from the most frequent luma of a pixel that belongs to the background."""
FLAT_SHARE = 0.97
CREDITS_SHARE = 0.6
"""Least share of the frame that the background of credits covers."""
MIN_GLYPH_CONTRAST = 60
"""Least contrast between glyphs and background."""
MIN_GLYPHS = 12
"""Least number of separate small shapes that count as text."""
MAX_GLYPH_HEIGHT = 0.14
"""Largest height as a share of the frame's height."""
MAX_BLUR = 0.58
"""Limit on the scale of `blur` for the sharpest parts. In films, a sharp face often has a blurred
background.
"""
GRID = 5
"""Rows and columns into which a frame is divided."""


def fault(luma: Luma) -> Fault | None:
    """Return why a frame is useless, or None."""
    if np.percentile(luma, 99) < MAX_BLACK_LUMA:
        return "black"
    ground = _ground(luma)
    share = ground.mean()
    if share > FLAT_SHARE and not _glyphs(luma, ground):
        return "flat"
    if share > CREDITS_SHARE and _glyphs(luma, ground):
        return "credits"
    return "blurred" if least_blur(luma) > MAX_BLUR else None


def blur(luma: NDArray[np.uint8] | NDArray[np.float32]) -> float:
    """Return how blurred a frame is, from 0 (sharp) to 1, independent of its contrast.

    Crété and others, "The blur effect: perception and estimation with a new no-reference perceptual blur
    metric" (SPIE 2007): the share of the pixel differences that remains after blurring once more over 9
    samples along a row or a column. The worse of the two directions counts.
    """
    plane = np.ascontiguousarray(luma, np.float32)
    return max(_blur_along(plane), _blur_along(np.ascontiguousarray(plane.T)))


def least_blur(luma: Luma) -> float:
    """Return `blur` of what is in focus: the lower quartile over the parts of a grid with enough contrast."""
    found = []
    for row in np.array_split(luma.astype(np.float32), GRID):
        for part in np.array_split(row, GRID, axis=1):
            steps = float(np.abs(np.diff(part, axis=1)).mean() + np.abs(np.diff(part, axis=0)).mean())
            found.append((steps, part))
    usual = float(np.mean([steps for steps, _ in found]))
    return float(np.quantile([blur(part) for steps, part in found if steps >= usual], 0.25))


def _blur_along(plane: NDArray[np.float32]) -> float:
    again = cv2.blur(plane, (9, 1), borderType=cv2.BORDER_REFLECT)
    steps = np.abs(np.diff(plane, axis=1))
    lost = np.maximum(0, steps - np.abs(np.diff(again, axis=1)))
    total = float(steps.sum())
    return 1.0 if total == 0 else 1 - float(lost.sum()) / total


def _ground(luma: Luma) -> NDArray[np.bool_]:
    """Return a mask of the pixels whose luma is close to the frame's most frequent luma."""
    histogram = np.bincount(luma.ravel(), minlength=256)
    near = np.convolve(histogram, np.ones(2 * MAX_FLAT_DISTANCE + 1), "same")
    level = int(near.argmax())
    return np.asarray(np.abs(luma.astype(np.int16) - level) <= MAX_FLAT_DISTANCE, np.bool_)


def _glyphs(luma: Luma, ground: NDArray[np.bool_]) -> bool:
    """Return whether the foreground consists mainly of many small shapes of strong contrast."""
    level = int(np.median(luma[ground]))
    marks = (np.abs(luma.astype(np.int16) - level) > MIN_GLYPH_CONTRAST / 2).astype(np.uint8)
    count, _, facts, _ = cv2.connectedComponentsWithStats(marks, connectivity=8)
    height, width = luma.shape
    area, tall, wide = (facts[1:, column] for column in (4, 3, 2))
    # At this size the letters of a word may touch: a glyph may be a whole word.
    small = (tall >= 3) & (tall <= MAX_GLYPH_HEIGHT * height) & (wide <= 0.5 * width) & (area >= 4)
    if count <= MIN_GLYPHS or small.sum() < MIN_GLYPHS or area[small].sum() < 0.6 * area.sum():
        return False
    strong = np.abs(luma.astype(np.int16) - level)[marks > 0]
    return bool(np.percentile(strong, 90) >= MIN_GLYPH_CONTRAST)
