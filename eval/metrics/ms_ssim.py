"""Structural similarity at five scales: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image
quality assessment", Asilomar Conference on Signals, Systems and Computers, 2003.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from eval.metrics.ssim import WINDOW, similarities

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, the finest first (Wang et al., section 3.2)."""
MINIMUM_SIDE = WINDOW * 2 ** (len(WEIGHTS) - 1)
"""Smallest side in pixels: the window must fit into the image at the coarsest scale."""


def ms_ssim(a: NDArray[Any], b: NDArray[Any], *, data_range: float) -> float:
    """Return the multi-scale structural similarity of two H x W images, 1 if equal (Wang et al., Eq. 7).

    It is a product over five scales: of the mean contrast and structure, and at the coarsest scale of the
    mean of all three factors, each to the power of its weight. The windows are those of `ssim`. From scale to
    scale, 2 x 2 pixels are averaged and a last odd row or column is dropped. A factor below 0, which has no
    real power, counts as 0. `data_range` is the difference between the highest and lowest possible value, 255
    for 8 bits. Raises ValueError if the shapes differ, are not H x W, or a side is shorter than
    `MINIMUM_SIDE`.
    """
    if a.shape != b.shape or a.ndim != 2 or min(a.shape) < MINIMUM_SIDE:
        raise ValueError(
            f"shapes {a.shape} and {b.shape}, expected equal shapes H x W with sides >= {MINIMUM_SIDE}"
        )
    x, y = a.astype(np.float64), b.astype(np.float64)
    product = 1.0
    for weight in WEIGHTS[:-1]:
        _, contrast_structure = similarities(x, y, data_range=data_range)
        product *= _power(contrast_structure, weight)
        x, y = _half(x), _half(y)
    luminance, contrast_structure = similarities(x, y, data_range=data_range)
    return product * _power(luminance * contrast_structure, WEIGHTS[-1])


def _power(factor: NDArray[np.float64], weight: float) -> float:
    return math.pow(max(0.0, float(np.mean(factor))), weight)


def _half(x: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = (side // 2 * 2 for side in x.shape)
    # At exactly half the size, OpenCV's area average is the mean of 2 x 2 pixels.
    halved = cv2.resize(x[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(halved, np.float64)
