"""Outline: how much deeper than in the photograph the dark valley is along the photograph's strongest edges.

An ink line on an edge is a dark valley with brighter paint on both sides. A plain step has a dark side but no
valley. Ridges of the gradient are thinned as in Canny, "A computational approach to edge detection", IEEE
Transactions on Pattern Analysis and Machine Intelligence 8(6), 1986, section VII.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

MINIMUM_SIDE = 64
"""Pixels."""
EDGE_SHARE = 0.02
"""Edges are searched among this share of the photograph's places with the largest gradient."""
MIN_GRADIENT = 1.0
"""Code values of 255 per pixel. A smaller gradient is not an edge, whatever its rank."""
SIGMA = 2.0
"""Standard deviation of the Gaussian before edge detection, in pixels at a short side of 720."""
MAX_VALLEY_OFFSET = 3
"""Largest distance between edge and valley, on both sides, in pixels at a short side of 720."""
SHOULDER_RANGE = (6, 8)
"""Range of distances between edge and shoulder, on both sides, in pixels at a short side of 720."""
REFERENCE_SIDE = 720
"""Short side in pixels for which the lengths are given. They scale with the image size."""
MIN_SCALE = 0.5
"""Lengths do not shrink below half of their value, since a pixel cannot be divided."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Edges:
    """Places on a photograph's strongest edges in pixels, and unit vectors in the gradient's direction."""

    x: Floats
    y: Floats
    across: Floats
    down: Floats


def outline(photo: NDArray[Any], result: NDArray[Any], *, data_range: float) -> float:
    """Return the mean valley depth across the edges of `photo`: that of `result` minus that of `photo`,
    -1..1.

    Both are luma, H x W with sides of at least 64. `data_range` is the difference between the highest and
    lowest possible value, 255 for 8 bits. Depths are shares of it. The profile of a place follows the
    photograph's gradient in steps of one pixel. A shoulder is as bright as its darkest sample. The depth of
    the valley is the lower shoulder minus the darkest sample near the edge, at least 0. The photograph itself
    scores 0, and so does every result of a photograph without edges. Contrast deepens valleys, too. Raises
    ValueError if the shapes differ or are too small.
    """
    if photo.shape != result.shape or photo.ndim != 2 or min(photo.shape) < MINIMUM_SIDE:
        raise ValueError(
            f"shapes {photo.shape} and {result.shape}, expected equal shapes H x W with sides >= "
            f"{MINIMUM_SIDE}"
        )
    if not data_range > 0:
        raise ValueError(f"data_range is {data_range}, expected a positive number")
    source, drawn = (one.astype(np.float32) / np.float32(data_range) for one in (photo, result))
    edges = strongest_edges(source)
    if not edges.x.size:
        return 0.0
    return float(
        np.mean(valleys(drawn, edges), dtype=np.float64) - np.mean(valleys(source, edges), dtype=np.float64)
    )


def strongest_edges(luma: Floats) -> Edges:
    """Return the gradient's ridge points among the top `EDGE_SHARE` of an H x W photograph in 0..1.

    The gradient is Sobel's after a Gaussian. A border with the width of a profile is excluded.
    """
    scale, border = _scale(luma), _lengths(luma)[-1]
    smooth = cv2.GaussianBlur(luma, (0, 0), SIGMA * scale)
    across = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8), np.float32)
    down = np.asarray(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8), np.float32)
    size = np.asarray(cv2.magnitude(across, down), np.float32)
    inner = size[border:-border, border:-border]
    rows, columns = np.nonzero(inner >= max(float(np.quantile(inner, 1 - EDGE_SHARE)), MIN_GRADIENT / 255))
    at = (rows + border, columns + border)
    length = size[at]
    found = Edges(at[1].astype(np.float32), at[0].astype(np.float32), across[at] / length, down[at] / length)
    ridge = (length >= _samples(size, found, 1)) & (length > _samples(size, found, -1))
    return Edges(found.x[ridge], found.y[ridge], found.across[ridge], found.down[ridge])


def valleys(luma: Floats, edges: Edges) -> Floats:
    """Return the depth of the valley at each place, in the unit of `luma`; 0 if there is none."""
    near, first, last = _lengths(luma)

    def darkest(start: int, stop: int) -> Floats:
        found = _samples(luma, edges, start)
        for distance in range(start + 1, stop + 1):
            np.minimum(found, _samples(luma, edges, distance), out=found)
        return found

    shoulder = np.minimum(darkest(-last, -first), darkest(first, last))
    return np.maximum(shoulder - darkest(-near, near), np.float32(0))


def _scale(luma: Floats) -> float:
    return max(float(min(luma.shape)) / REFERENCE_SIDE, MIN_SCALE)


def _lengths(luma: Floats) -> tuple[int, int, int]:
    """Return `MAX_VALLEY_OFFSET` and the ends of `SHOULDER_RANGE` in whole pixels of this image."""
    scale = _scale(luma)
    near, first, last = (int(length * scale + 0.5) for length in (MAX_VALLEY_OFFSET, *SHOULDER_RANGE))
    return near, first, last


def _samples(values: Floats, edges: Edges, distance: int) -> Floats:
    """Return bilinear samples `distance` pixels from each place in the gradient's direction.

    OpenCV's `remap` supports images and maps of up to 32766 pixels a side, and steps of 1/32 pixel only.
    """
    height, width = values.shape
    x = np.clip(edges.x + np.float32(distance) * edges.across, 0, width - 1)
    y = np.clip(edges.y + np.float32(distance) * edges.down, 0, height - 1)
    left = np.minimum(x.astype(np.intp), width - 2)
    top = np.minimum(y.astype(np.intp), height - 2)
    right_share, lower_share = x - left.astype(np.float32), y - top.astype(np.float32)
    upper = values[top, left] + right_share * (values[top, left + 1] - values[top, left])
    lower = values[top + 1, left] + right_share * (values[top + 1, left + 1] - values[top + 1, left])
    return np.asarray(upper + lower_share * (lower - upper), np.float32)
