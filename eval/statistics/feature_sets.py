"""Sets of feature vectors for the metrics: N x D floats, in memory or mapped from a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.errors import StreamtoonError

Features = NDArray[np.floating[Any]]
Array = NDArray[np.float64]
Indices = NDArray[np.intp]

BLOCK = 1024
"""Rows in memory at a time: 16 MB of float64 for 2,048 features."""


def blocks(
    features: Features, chosen: Indices | None = None, size: int = BLOCK
) -> Iterator[tuple[int, Array]]:
    """Yield blocks of rows (or of the `chosen` rows, in that order) in float64, with their start
    positions.
    """
    count = len(features) if chosen is None else len(chosen)
    for start in range(0, count, size):
        rows = slice(start, start + size)
        yield start, np.asarray(features[rows] if chosen is None else features[chosen[rows]], np.float64)


def require_features(features: Features, metric: str, minimum: int) -> None:
    """Require at least `minimum` rows of finite values.

    Raises StreamtoonError otherwise, and ValueError unless the shape is N x D.
    """
    if features.ndim != 2 or not features.shape[1]:
        raise ValueError(f"shape {features.shape}, expected N x D")
    require_count(len(features), metric, minimum)
    require_finite(features)


def require_count(count: int, metric: str, minimum: int) -> None:
    """Raise StreamtoonError if a set of `count` images is too small for `metric`."""
    if count < minimum:
        raise StreamtoonError(
            f"{metric} needs at least {minimum} images in each set, but one has {count}. Add "
            f"images, or leave {metric} out."
        )


def require_finite(features: Features, before: int = 0) -> None:
    """Raise StreamtoonError with the number, from 1 after `before`, of an image with NaN or infinity."""
    for start, block in blocks(features):
        bad = np.flatnonzero(~np.isfinite(block).all(1))
        if bad.size:
            raise StreamtoonError(
                f"The features of image {before + start + int(bad[0]) + 1} are not finite: the image "
                "or the weights of the feature network are damaged."
            )


def require_same_width(a: int, b: int) -> None:
    """Raise ValueError if two sets have different numbers of features."""
    if a != b:
        raise ValueError(f"{a} and {b} features, expected equal numbers")


def sample(count: int, wanted: int, generator: np.random.Generator) -> Indices:
    """Return `wanted` of the numbers 0 ... `count` - 1 without repetition, ascending, or all if there are
    fewer.
    """
    if wanted >= count:
        return np.arange(count)
    return np.sort(generator.choice(count, wanted, replace=False))
