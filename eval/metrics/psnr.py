"""Peak signal-to-noise ratio."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def psnr(a: NDArray[Any], b: NDArray[Any], *, data_range: float) -> float:
    """10 log10(data_range^2 / mean squared error) in dB, over all values; infinity for equal pictures.

    `data_range` is the distance from the lowest to the highest value possible: 255 for 8 bits. Raises
    ValueError when the shapes differ or `data_range` is not positive.
    """
    if a.shape != b.shape or not a.size:
        raise ValueError(f"shapes {a.shape} and {b.shape}, expected two equal ones that are not empty")
    if not data_range > 0:
        raise ValueError(f"data_range is {data_range}, expected a positive number")
    error = float(np.mean(np.square(a.astype(np.float64) - b.astype(np.float64))))
    return math.inf if error == 0 else 10 * math.log10(data_range**2 / error)
