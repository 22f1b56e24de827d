"""Flow-based difference of Gaussians: how much a pixel belongs to a line.

Sources: Kang, Lee, Chui, "Coherent Line Drawing", NPAR 2007 (the difference across the edge, its average
along it); Winnemoeller, Kyprianidis, Olsen, "XDoG: An eXtended difference-of-Gaussians compendium", Computers
& Graphics 2012, section 2 (the same with the tensor's flow).
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from training.abstraction.sampling import Plane, between, step_of
from training.abstraction.tangent_flow import Flow

RATIO = 1.6
"""Ratio of the two sigmas. At this value, after Marr and Hildreth, the difference is closest to a
Laplacian.
"""


def flow_dog(plane: Plane, flow: Flow, sigma: float, sigma_along: float) -> Plane:
    """Return the wide minus the narrow Gaussian: positive on lines darker than their surroundings.

    `plane` is H x W float32; the result has its unit. `sigma` (pixels) is that of the narrow Gaussian across
    the edge, `sigma_along` that of the average along it. Windows end at three wide sigmas and at 2.2
    sigma_along.
    """
    across = np.empty_like(plane)
    _difference(plane, flow.x, flow.y, 0.5 / sigma**2, 0.5 / (RATIO * sigma) ** 2,
                math.ceil(3 * RATIO * sigma), across)  # fmt: skip
    along, out = flow.along(), np.empty_like(plane)
    _average(across, along.x, along.y, 0.5 / sigma_along**2, math.ceil(2.2 * sigma_along), out)
    return out


@njit(fastmath=True, cache=True, nogil=True)
def _difference(plane, dx, dy, narrow, wide, reach, out):  # type: ignore[no-untyped-def]
    height, width = plane.shape
    for y in range(height):
        for x in range(width):
            step_x, step_y, length = step_of(dx[y, x], dy[y, x])
            here = plane[y, x]
            inner, inner_weight, outer, outer_weight = here, np.float32(1), here, np.float32(1)
            for at in range(1, int(reach / length) + 1):
                away = (at * length) ** 2
                one = np.float32(math.exp(-narrow * away))
                two = np.float32(math.exp(-wide * away))
                for sign in (-1, 1):
                    u = min(max(x + sign * at * step_x, 0.0), width - 1.0)
                    v = min(max(y + sign * at * step_y, 0.0), height - 1.0)
                    value = between(plane, u, v)
                    inner += one * value
                    outer += two * value
                inner_weight += 2 * one
                outer_weight += 2 * two
            out[y, x] = outer / outer_weight - inner / inner_weight


@njit(fastmath=True, cache=True, nogil=True)
def _average(plane, tx, ty, near, reach, out):  # type: ignore[no-untyped-def]
    height, width = plane.shape
    weights = np.array([math.exp(-near * at * at) for at in range(reach + 1)], np.float32)
    for y in range(height):
        for x in range(width):
            total, weight = plane[y, x], np.float32(1)
            for sign in (-1, 1):
                u, v, du, dv = float(x), float(y), sign * tx[y, x], sign * ty[y, x]
                for at in range(1, reach + 1):
                    u += du
                    v += dv
                    if u < 0 or v < 0 or u >= width - 1 or v >= height - 1:
                        break
                    column, row = int(u + 0.5), int(v + 0.5)
                    total += weights[at] * plane[row, column]
                    weight += weights[at]
                    # The sign of a tangent is arbitrary: continue in the direction of the last step.
                    turn = 1.0 if tx[row, column] * du + ty[row, column] * dv >= 0 else -1.0
                    du, dv = turn * tx[row, column], turn * ty[row, column]
            out[y, x] = total / weight


def smoothstep(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    """Return 0 below `low`, 1 above `high`, and the cubic 3 t^2 - 2 t^3 between them."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
