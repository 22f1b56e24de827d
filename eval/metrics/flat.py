"""Flatness: the share of a result that has level colour where the photograph has no edge.

The patches of a cartoon are level, the surfaces of a photograph are not. Distances between features (FID,
KID) hardly measure this. L0 smoothing counts the same, the places whose step to the next pixel is not zero:
Xu, Lu, Xu, Jia, "Image smoothing via L0 gradient minimization", ACM Transactions on Graphics 30(6), 2011, Eq.
5. Here a step may have up to 1.5 code values of 255, since coded images are nowhere exactly level. The
photograph's edges are excluded, since a good cartoon keeps them.
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
"""Code values of 255: the lowest sharp vertical step in the photograph that counts as an edge."""
SIGMA = 1.5
"""Standard deviation of the Gaussian before edge detection, in pixels at a short side of 720."""
MARGIN = 4
"""Distance from an edge within which nothing is counted, in pixels at a short side of 720."""
REFERENCE_SIDE = 720
"""Short side in pixels for which the lengths are given. They scale with the image size."""
MIN_SCALE = 0.5
"""Lengths do not shrink below half of their value, since a pixel cannot be divided."""


def flat(photo: NDArray[Any], result: NDArray[Any], *, data_range: float) -> float:
    """Return the share (0..1) of flat steps in `result` away from the edges of `photo`.

    Both are luma, H x W with sides of at least 64, preferably not rounded to whole code values. `data_range`
    is the difference between the highest and lowest possible value, 255 for 8 bits. The step of a place is
    the root mean square of the differences to its right and lower neighbours. It is flat below 1.5 / 255 of
    the range. An edge is where the photograph's Sobel gradient, after a Gaussian, reaches the peak of a
    vertical step of 68 / 255. Nothing is counted within `MARGIN` of an edge. If the photograph has edges
    everywhere, every place counts.

    One level colour gives 1. The step does not scale with the image size, so compare equal sizes only.
    Blurred and blank images have many flat steps, too: use the figure together with others. Raises ValueError
    if the shapes differ or are too small.
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
    """Return where an H x W photograph, in code values of 255, has an edge within `MARGIN`."""
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
    """Return the Sobel gradient per pixel next to a vertical step of height 1 after a Gaussian.

    The operator takes half the difference of two pixels, 0.5 before and 1.5 behind the step.
    """
    return (erf(0.5 / (sigma * sqrt(2))) + erf(1.5 / (sigma * sqrt(2)))) / 4
