"""Sets of feature vectors as the metrics take them: N x D floats, in memory or mapped from a file."""

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
"""Rows in memory at once: 16 MB of float64 at 2,048 features."""


def blocks(
    features: Features, chosen: Indices | None = None, size: int = BLOCK
) -> Iterator[tuple[int, Array]]:
    """The rows (or the `chosen` ones, in their order) in blocks of float64, each with where it starts."""
    count = len(features) if chosen is None else len(chosen)
    for start in range(0, count, size):
        rows = slice(start, start + size)
        yield start, np.asarray(features[rows] if chosen is None else features[chosen[rows]], np.float64)


def require_features(features: Features, metric: str, minimum: int) -> None:
    """Raises StreamtoonError for fewer than `minimum` rows or values not finite, ValueError unless N x D."""
    if features.ndim != 2 or not features.shape[1]:
        raise ValueError(f"shape {features.shape}, expected N x D")
    require_count(len(features), metric, minimum)
    require_finite(features)


def require_count(count: int, metric: str, minimum: int) -> None:
    """Raises StreamtoonError where a set of `count` pictures is too small for `metric`."""
    if count < minimum:
        raise StreamtoonError(
            f"{metric} needs at least {minimum} pictures in each set, and one has {count}: "
            f"add pictures, or leave {metric} out."
        )


def require_finite(features: Features, before: int = 0) -> None:
    """Raises StreamtoonError with the number, from 1 after `before`, of a picture with NaN or infinity."""
    for start, block in blocks(features):
        bad = np.flatnonzero(~np.isfinite(block).all(1))
        if bad.size:
            raise StreamtoonError(
                f"The features of picture {before + start + int(bad[0]) + 1} are not finite numbers: "
                "the picture or the weights of the feature network are damaged."
            )


def require_same_width(a: int, b: int) -> None:
    """Raises ValueError where two sets have different features."""
    if a != b:
        raise ValueError(f"{a} features against {b}, expected as many")


def sample(count: int, wanted: int, generator: np.random.Generator) -> Indices:
    """`wanted` of 0 ... `count` - 1 without repetition, ascending; all where there are no more than that."""
    if wanted >= count:
        return np.arange(count)
    return np.sort(generator.choice(count, wanted, replace=False))
