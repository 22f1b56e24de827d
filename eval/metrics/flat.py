"""Flatness: how much of a result is level colour where the photograph has no edge.

A cartoon's patches are level and a photograph's surfaces are not. Distances between features (FID, KID)
hardly see this. L0 smoothing counts the same thing, the places whose step to the next pixel is not zero: Xu,
Lu, Xu, Jia, "Image smoothing via L0 gradient minimization", ACM Transactions on Graphics 30(6), 2011, Eq. 5.
Here a step may have up to 1.5 code values of 255, since coded pictures are nowhere exactly level, and the
photograph's edges are left out, since a good cartoon keeps them.
"""

from __future__ import annotations

from math import erf, sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MINIMUM_SIDE = 64
"""Pixels."""
FLAT_STEP = 1.5
"""Code values of 255. A smaller step is flat."""
EDGE_STEP = 68.0
"""Code values of 255: height of the lowest upright, sharp step in the photograph that is an edge."""
SIGMA = 1.5
"""Of the Gaussian before edges are sought, pixels at a short side of 720."""
MARGIN = 4
"""How far around an edge nothing is counted, pixels at a short side of 720."""
REFERENCE_SIDE = 720
"""Short side, in pixels, that the lengths are given for; at other sizes they grow and shrink with it."""
MIN_SCALE = 0.5
"""Below half of `REFERENCE_SIDE` lengths shrink no further: a pixel cannot be divided."""


def flat(photo: NDArray[Any], result: NDArray[Any], *, data_range: float) -> float:
    """The share (0..1) of flat steps in `result` away from the edges of `photo`; 1 for one level colour.

    Both are luma, H x W, both sides at least 64, better not rounded to whole code values; `data_range` is the
    distance from the lowest to the highest value possible, 255 for 8 bits. A place's step is the root mean
    square of the differences to its right and its lower neighbour; it is flat below 1.5 / 255 of the range.
    Edges are where Sobel's gradient of the photograph, after a Gaussian, reaches the peak of an upright step
    of 68 / 255; nothing is counted within `MARGIN` of them. If a photograph has edges everywhere,
    every place counts. The step is not scaled with the size, so figures of different sizes do not compare.
    Blur and a blank sheet have many flat steps too: look at the figure beside others. Raises ValueError for
    shapes that differ or are too small.
    """
    if photo.shape != result.shape or photo.ndim != 2 or min(photo.shape) < MINIMUM_SIDE:
        raise ValueError(
            f"shapes {photo.shape} and {result.shape}, expected H x W, equal, both sides >= {MINIMUM_SIDE}"
        )
    if not data_range > 0:
        raise ValueError(f"data_range is {data_range}, expected a positive number")
    unit = np.float32(255 / data_range)
    values = result.astype(np.float32) * unit
    right = values[:-1, 1:] - values[:-1, :-1]
    down = values[1:, :-1] - values[:-1, :-1]
    level = right * right + down * down < 2 * FLAT_STEP**2
    away = ~near_edges(photo.astype(np.float32) * unit)[:-1, :-1]
    return float(np.mean(level[away] if away.any() else level))


def near_edges(luma: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where an H x W photograph, in code values of 255, has an edge within `MARGIN`."""
    scale = max(min(luma.shape) / REFERENCE_SIDE, MIN_SCALE)
    sigma, margin = SIGMA * scale, round(MARGIN * scale)
    smooth = cv2.GaussianBlur(luma, (0, 0), sigma)
    across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    edges = (cv2.magnitude(across, down) >= EDGE_STEP * _peak(sigma)).astype(np.uint8)
    at = np.arange(-margin, margin + 1)
    disc = (at[:, None] ** 2 + at**2 <= margin**2).astype(np.uint8)
    return np.asarray(cv2.dilate(edges, disc), np.bool_)


def _peak(sigma: float) -> float:
    """Sobel's gradient, per pixel, beside an upright step of height 1 after a Gaussian.

    The operator takes half the difference of two pixels, which lie 0.5 before and 1.5 behind the step.
    """
    return (erf(0.5 / (sigma * sqrt(2))) + erf(1.5 / (sigma * sqrt(2)))) / 4
