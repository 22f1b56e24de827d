"""The orientation-aligned bilateral filter, which flattens colours and keeps edges in place.

Source: Kyprianidis and Doellner, "Image Abstraction by Structure Adaptive Filtering", TPCG 2008, section 4: a
one-dimensional bilateral filter across the edge, then one along it.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from training.abstraction.sampling import between, step_of
from training.abstraction.tangent_flow import Flow

Lab = NDArray[np.float32]
"""3 x H x W: CIE L* (0 to 100), a*, b*."""


def oriented_bilateral(lab: Lab, flow: Flow, sigma_distance: float, sigma_range: float) -> Lab:
    """Filter once across the edges, then once along them.

    `sigma_distance` is in pixels; windows end at twice that. `sigma_range` is the Euclidean distance in L*,
    a* and b*.
    """
    along = flow.along()
    across = _one_way(lab, flow.x, flow.y, sigma_distance, sigma_range)
    return _one_way(across, along.x, along.y, sigma_distance, sigma_range)


def _one_way(
    lab: Lab, dx: NDArray[np.float32], dy: NDArray[np.float32], sigma_distance: float, sigma_range: float
) -> Lab:
    out = np.empty_like(lab)
    _filter(lab[0], lab[1], lab[2], dx, dy, 0.5 / sigma_distance**2, 0.5 / sigma_range**2,
            math.ceil(2 * sigma_distance), out)  # fmt: skip
    return out


@njit(fastmath=True, cache=True, nogil=True)
def _filter(l, a, b, dx, dy, near, alike, reach, out):  # type: ignore[no-untyped-def]  # noqa: E741
    height, width = l.shape
    for y in range(height):
        for x in range(width):
            step_x, step_y, length = step_of(dx[y, x], dy[y, x])
            l0, a0, b0 = l[y, x], a[y, x], b[y, x]
            sum_l, sum_a, sum_b, weights = l0, a0, b0, np.float32(1)
            for sign in (-1, 1):
                for at in range(1, int(reach / length) + 1):
                    u, v = x + sign * at * step_x, y + sign * at * step_y
                    if u < 0 or v < 0 or u > width - 1 or v > height - 1:
                        break
                    one, two, three = between(l, u, v), between(a, u, v), between(b, u, v)
                    apart = (one - l0) ** 2 + (two - a0) ** 2 + (three - b0) ** 2
                    away = at * length
                    weight = np.float32(math.exp(-near * away * away - alike * apart))
                    sum_l += weight * one
                    sum_a += weight * two
                    sum_b += weight * three
                    weights += weight
            out[0, y, x], out[1, y, x], out[2, y, x] = sum_l / weights, sum_a / weights, sum_b / weights
