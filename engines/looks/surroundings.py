"""Grids of cells over a frame, on which a look measures the surroundings of a place.

The side of a cell follows the frame's short side, so that a measurement covers the same part of the frame at
every size and costs about the same.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frame import Plane
from engines.looks.patterns import scale_of

Share = NDArray[np.float32]
"""Values from 0 to 1 of the cells of a grid."""
Size = tuple[int, int]
"""Columns and rows, the order of OpenCV."""


def cell_side(step: float, height: int, width: int) -> int:
    """Return the side in pixels of cells that are `step` pixels in a frame with a short side of 720."""
    return max(1, round(step * scale_of(height, width)))


def grid_size(side: int, height: int, width: int) -> Size:
    """Return the columns and rows of a grid of cells with a side of `side` pixels; at least 2 x 2."""
    return max(2, width // side), max(2, height // side)


def halved(plane: Plane) -> Plane:
    """Return the means of 2 x 2 samples."""
    size = plane.shape[1] // 2, plane.shape[0] // 2
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def cells(plane: Plane, size: Size, out: Plane | None = None) -> Plane:
    """Return the means of a plane in the cells of a grid, in `out` if given."""
    # Halves are the only means that OpenCV computes with vector instructions.
    while plane.shape[1] >= 4 * size[0] and plane.shape[0] >= 4 * size[1] and not any(np.mod(plane.shape, 2)):
        plane = halved(plane)
    return np.asarray(cv2.resize(plane, size, out, interpolation=cv2.INTER_AREA), np.uint8)


def enlarged(grid: Plane, size: Size, out: Plane | None = None) -> Plane:
    """Return the values of a grid, or those between its cells, at every place of a finer grid or a frame."""
    return np.asarray(cv2.resize(grid, size, out, interpolation=cv2.INTER_LINEAR), np.uint8)


def mean_around(share: NDArray[np.generic], window: int) -> Share:
    """Return the mean over the square of `window` cells around every cell."""
    values = np.asarray(share, np.float32)
    return np.asarray(cv2.blur(values, (window, window), borderType=cv2.BORDER_REPLICATE), np.float32)


def ramp(values: Share, low: float, high: float) -> Share:
    """Return 0 up to `low`, 1 from `high`, and a smooth step between them."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
