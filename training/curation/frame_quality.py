"""What makes a film's picture useless for a data set: black, flat, credits, blurred.

All is measured on a small copy of the luma, H x W, 0 black to 255 white.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]
Fault = Literal["black", "flat", "credits", "blurred"]

MAX_BLACK_LUMA = 48
"""A picture whose brightest hundredth stays below this is black."""
MAX_FLAT_DISTANCE = 6
"""Distance from the most frequent luma up to which a pixel belongs to the ground."""
FLAT_SHARE = 0.97
CREDITS_SHARE = 0.6
"""Of the picture that the ground of credits covers at least."""
MIN_GLYPH_CONTRAST = 60
"""Between glyphs and ground, at least."""
MIN_GLYPHS = 12
"""As many separate small shapes are text."""
MAX_GLYPH_HEIGHT = 0.14
"""Of the picture's height, at most."""
MAX_BLUR = 0.58
"""On the scale of `blur`, in the sharpest parts: a blurred ground behind a sharp face is how films look."""
GRID = 5
"""Rows and columns that a picture is parted into."""


def fault(luma: Luma) -> Fault | None:
    """Why a picture is of no use; None where nothing is found."""
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
    """How blurred a picture is, 0 sharp to 1, whatever its contrast.

    Crété and others, "The blur effect: perception and estimation with a new no-reference perceptual blur
    metric" (SPIE 2007): how little a picture's steps from pixel to pixel lose when it is blurred once more,
    over 9 samples along a row or a column; the worse of the two directions.
    """
    picture = np.ascontiguousarray(luma, np.float32)
    return max(_blur_along(picture), _blur_along(np.ascontiguousarray(picture.T)))


def least_blur(luma: Luma) -> float:
    """`blur` in focus: the lower quartile over a grid's parts, of those with at least the usual contrast."""
    found = []
    for row in np.array_split(luma.astype(np.float32), GRID):
        for part in np.array_split(row, GRID, axis=1):
            steps = float(np.abs(np.diff(part, axis=1)).mean() + np.abs(np.diff(part, axis=0)).mean())
            found.append((steps, part))
    usual = float(np.mean([steps for steps, _ in found]))
    return float(np.quantile([blur(part) for steps, part in found if steps >= usual], 0.25))


def _blur_along(picture: NDArray[np.float32]) -> float:
    again = cv2.blur(picture, (9, 1), borderType=cv2.BORDER_REFLECT)
    steps = np.abs(np.diff(picture, axis=1))
    lost = np.maximum(0, steps - np.abs(np.diff(again, axis=1)))
    total = float(steps.sum())
    return 1.0 if total == 0 else 1 - float(lost.sum()) / total


def _ground(luma: Luma) -> NDArray[np.bool_]:
    """True where a pixel has the picture's most frequent luma, or nearly."""
    histogram = np.bincount(luma.ravel(), minlength=256)
    near = np.convolve(histogram, np.ones(2 * MAX_FLAT_DISTANCE + 1), "same")
    level = int(near.argmax())
    return np.asarray(np.abs(luma.astype(np.int16) - level) <= MAX_FLAT_DISTANCE, np.bool_)


def _glyphs(luma: Luma, ground: NDArray[np.bool_]) -> bool:
    """True when what stands out from the ground is mainly many small shapes of strong contrast."""
    level = int(np.median(luma[ground]))
    marks = (np.abs(luma.astype(np.int16) - level) > MIN_GLYPH_CONTRAST / 2).astype(np.uint8)
    count, _, facts, _ = cv2.connectedComponentsWithStats(marks, connectivity=8)
    height, width = luma.shape
    area, tall, wide = (facts[1:, column] for column in (4, 3, 2))
    # At this size the letters of a word may run into one another: a glyph may be a whole word.
    small = (tall >= 3) & (tall <= MAX_GLYPH_HEIGHT * height) & (wide <= 0.5 * width) & (area >= 4)
    if count <= MIN_GLYPHS or small.sum() < MIN_GLYPHS or area[small].sum() < 0.6 * area.sum():
        return False
    strong = np.abs(luma.astype(np.int16) - level)[marks > 0]
    return bool(np.percentile(strong, 90) >= MIN_GLYPH_CONTRAST)
