"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def psnr(a: NDArray[Any], b: NDArray[Any], *, data_range: float) -> float:
    """Return 10 log10(data_range^2 / mean squared error) in dB over all values; infinity for equal images.

    `data_range` is the difference between the highest and lowest possible value, 255 for 8 bits. Raises
    ValueError if the shapes differ or `data_range` is not positive.
    """
    if a.shape != b.shape or not a.size:
        raise ValueError(f"shapes {a.shape} and {b.shape}, expected equal shapes that are not empty")
    if not data_range > 0:
        raise ValueError(f"data_range is {data_range}, expected a positive number")
    error = float(np.mean(np.square(a.astype(np.float64) - b.astype(np.float64))))
    return math.inf if error == 0 else 10 * math.log10(data_range**2 / error)
