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
    """Return the mean structural similarity of two H x W images, 1 if equal (Wang et al., Eq. 13 and 17).

    The window is a Gaussian of 11 x 11 with sigma 1.5, with population statistics and only windows that are
    fully inside the image, as in the authors' code. Their optional downscaling is left to the caller.
    `data_range` is the difference between the highest and lowest possible value, 255 for 8 bits. Raises
    ValueError if the shapes differ, are not H x W, or a side is shorter than the window.
    """
    luminance, contrast_structure = similarities(a, b, data_range=data_range)
    return float(np.mean(luminance * contrast_structure))


def similarities(
    a: NDArray[Any], b: NDArray[Any], *, data_range: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two factors of `ssim` per window: luminance (Eq. 6), contrast and structure (Eq. 9, 10).

    Both are maps of (H - 10) x (W - 10). Raises ValueError as `ssim` does.
    """
    if a.shape != b.shape or a.ndim != 2 or min(a.shape) < WINDOW:
        raise ValueError(
            f"shapes {a.shape} and {b.shape}, expected equal shapes H x W with sides >= {WINDOW}"
        )
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
