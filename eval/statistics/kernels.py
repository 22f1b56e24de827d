"""Kernels of feature vectors, and the unbiased squared maximum mean discrepancy.

Source: Gretton, Borgwardt, Rasch, Schölkopf, Smola, "A kernel two-sample test", JMLR 13, 2012.
"""

from __future__ import annotations

import numpy as np

from eval.statistics.feature_sets import Array


def squared_distances(x: Array, y: Array) -> Array:
    """Return ||x_i - y_j||^2, N x M, at least 0, with an error of about D eps (||x_i||^2 + ||y_j||^2)."""
    distances = (x @ y.T) * -2
    distances += np.square(x).sum(1)[:, None]
    distances += np.square(y).sum(1)
    return np.maximum(distances, 0, out=distances)


def polynomial(x: Array, y: Array) -> Array:
    """Return (x_i . y_j / D + 1)^3, N x M: KID's kernel (Binkowski et al. 2018)."""
    kernel = x @ y.T
    kernel /= x.shape[1]
    kernel += 1
    # A power with a float exponent would go through exp and log.
    return np.asarray(kernel * kernel * kernel)


def gaussian(x: Array, y: Array, sigma: float) -> Array:
    """Return exp(-||x_i - y_j||^2 / (2 sigma^2)), N x M."""
    kernel = squared_distances(x, y)
    kernel /= -2 * sigma**2
    return np.asarray(np.exp(kernel, out=kernel))


def weighted_mmd2(xx: Array, yy: Array, xy: Array, x_weights: Array, y_weights: Array) -> Array:
    """Return MMD^2 (Gretton et al., Eq. 3) of R weightings of two sets. Values may be negative.

    An image is never paired with itself or with its own copies in a resample. This keeps the estimate
    unbiased.

    Args:
        xx: Kernel values of the first set, N x N.
        yy: Kernel values of the second set, M x M.
        xy: Kernel values across the sets, N x M.
        x_weights: How often each image of the first set counts, R x N: ones for the whole set, ones and zeros
            for subsets, counts for resamples.
        y_weights: The same for the second set, R x M.

    Returns:
        R values.
    """
    within = _within(xx, x_weights) + _within(yy, y_weights)
    across = ((x_weights @ xy) * y_weights).sum(1) / (x_weights.sum(1) * y_weights.sum(1))
    return np.asarray(within - 2 * across)


def _within(kernel: Array, weights: Array) -> Array:
    squares = np.square(weights)
    pairs = ((weights @ kernel) * weights).sum(1) - squares @ np.diagonal(kernel)
    return np.asarray(pairs / (weights.sum(1) ** 2 - squares.sum(1)))
