"""Sharpness as mean gradient. Blur cannot raise it.

It follows the Tenengrad focus measures, which sum the Sobel gradient: Krotkov, "Focusing", International
Journal of Computer Vision 1, 1988; Pertuz, Puig, Garcia, "Analysis of focus measure operators for
shape-from-focus", Pattern Recognition 46(5), 2013. Theirs sum its square, in which few strong edges outweigh
everything else.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def sharpness(luma: NDArray[Any], where: NDArray[np.bool_] | None = None) -> float:
    """Return the mean gradient length of an H x W image in code values per pixel; 0 for a flat image.

    The operator is Sobel's 3 x 3, divided by 8 so that a ramp of slope s has the gradient s, where it lies
    fully inside the image. Noise and contrast count as sharpness: compare the figure with that of the source.
    `where`, H x W, selects the places that count; if it selects none, or is None, all places count. Raises
    ValueError for another shape or a side shorter than 3.
    """
    if luma.ndim != 2 or min(luma.shape) < 3:
        raise ValueError(f"shape {luma.shape}, expected H x W, both sides >= 3")
    values, inside = luma.astype(np.float32), slice(1, -1)
    across = cv2.Sobel(values, cv2.CV_32F, 1, 0, scale=1 / 8)[inside, inside]
    down = cv2.Sobel(values, cv2.CV_32F, 0, 1, scale=1 / 8)[inside, inside]
    lengths = cv2.magnitude(across, down)
    if where is not None and where[inside, inside].any():
        lengths = lengths[where[inside, inside]]
    return float(np.mean(lengths, dtype=np.float64))
