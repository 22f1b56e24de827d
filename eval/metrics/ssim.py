"""Structural similarity: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error
visibility to structural similarity", IEEE Transactions on Image Processing 13(4), 2004.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

WINDOW = 11
SIGMA = 1.5
K1 = 0.01
K2 = 0.03


def ssim(a: NDArray[Any], b: NDArray[Any], *, data_range: float) -> float:
    """Mean structural similarity of two H x W pictures, 1 for equal ones (Wang et al., Eq. 13 and 17).

    Gaussian window of 11 x 11 with sigma 1.5, population statistics, and only windows that lie wholly
    inside the picture, as in the authors' own code; their optional shrinking beforehand is left to the
    caller. `data_range` is the distance from the lowest to the highest value possible: 255 for 8 bits.
    Raises ValueError when the shapes differ, are not H x W, or a side is shorter than the window.
    """
    luminance, contrast_structure = similarities(a, b, data_range=data_range)
    return float(np.mean(luminance * contrast_structure))


def similarities(
    a: NDArray[Any], b: NDArray[Any], *, data_range: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two factors of `ssim` in every window: luminance (Eq. 6), contrast and structure (Eq. 9, 10).

    Maps of (H - 10) x (W - 10). Raises ValueError as `ssim` does.
    """
    if a.shape != b.shape or a.ndim != 2 or min(a.shape) < WINDOW:
        raise ValueError(f"shapes {a.shape} and {b.shape}, expected H x W, equal, both sides >= {WINDOW}")
    if not data_range > 0:
        raise ValueError(f"data_range is {data_range}, expected a positive number")
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variance_x = _window_mean(x * x) - mean_x**2
    variance_y = _window_mean(y * y) - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    contrast_structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return luminance, contrast_structure


def _window_mean(x: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = slice(WINDOW // 2, -(WINDOW // 2))
    return np.asarray(cv2.GaussianBlur(x, (WINDOW, WINDOW), SIGMA)[inside, inside], np.float64)
