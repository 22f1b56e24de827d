"""Sampling along a direction: the two operations of every line integral in the abstraction program.

The steps along a line are such that the larger of |dx| and |dy| is one pixel (Kyprianidis and Doellner,
"Image Abstraction by Structure Adaptive Filtering", TPCG 2008, section 3.2). Every sample is then between two
neighbours of one row or column, and linear interpolation of two values is exact.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Plane = NDArray[np.float32]
"""H x W."""


@njit(fastmath=True, cache=True, inline="always")
def step_of(dx: float, dy: float) -> tuple[float, float, float]:
    """Return the unit direction (dx, dy) as a step whose larger part is one pixel, and its length in
    pixels.
    """
    length = 1.0 / max(abs(dx), abs(dy), 1e-6)
    return dx * length, dy * length, length


@njit(fastmath=True, cache=True, inline="always")
def between(plane: Plane, x: float, y: float) -> float:
    """Return the bilinear sample of an H x W plane at (x, y), which must be inside it."""
    left, top = int(x), int(y)
    right, bottom = min(left + 1, plane.shape[1] - 1), min(top + 1, plane.shape[0] - 1)
    across, down = x - left, y - top
    upper = plane[top, left] + across * (plane[top, right] - plane[top, left])
    lower = plane[bottom, left] + across * (plane[bottom, right] - plane[bottom, left])
    return float(upper + down * (lower - upper))
