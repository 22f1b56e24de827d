"""Kernels between sets of feature vectors, and the unbiased squared maximum mean discrepancy over them.

Gretton, Borgwardt, Rasch, Schölkopf, Smola, "A kernel two-sample test", JMLR 13, 2012.
"""

from __future__ import annotations

import numpy as np

from eval.statistics.feature_sets import Array


def squared_distances(x: Array, y: Array) -> Array:
    """||x_i - y_j||^2, N x M, never below 0; exact to about D eps (||x_i||^2 + ||y_j||^2)."""
    distances = (x @ y.T) * -2
    distances += np.square(x).sum(1)[:, None]
    distances += np.square(y).sum(1)
    return np.maximum(distances, 0, out=distances)


def polynomial(x: Array, y: Array) -> Array:
    """(x_i . y_j / D + 1)^3, N x M: KID's kernel (Binkowski et al. 2018)."""
    kernel = x @ y.T
    kernel /= x.shape[1]
    kernel += 1
    # A power of arrays with a float exponent goes through exp and log.
    return np.asarray(kernel * kernel * kernel)


def gaussian(x: Array, y: Array, sigma: float) -> Array:
    """exp(-||x_i - y_j||^2 / (2 sigma^2)), N x M."""
    kernel = squared_distances(x, y)
    kernel /= -2 * sigma**2
    return np.asarray(np.exp(kernel, out=kernel))


def weighted_mmd2(xx: Array, yy: Array, xy: Array, x_weights: Array, y_weights: Array) -> Array:
    """MMD^2 (Gretton et al., Eq. 3) of R weightings of two sets at once, as R values; may be negative.

    `xx` N x N, `yy` M x M and `xy` N x M are the kernel's values, `x_weights` R x N and `y_weights` R x M how
    often each picture counts: ones for the whole sets, ones and zeros for subsets, counts for resamples.
    A picture is never paired with itself nor with its own copies in a resample, which is what keeps the
    estimate unbiased.
    """
    within = _within(xx, x_weights) + _within(yy, y_weights)
    across = ((x_weights @ xy) * y_weights).sum(1) / (x_weights.sum(1) * y_weights.sum(1))
    return np.asarray(within - 2 * across)


def _within(kernel: Array, weights: Array) -> Array:
    squares = np.square(weights)
    pairs = ((weights @ kernel) * weights).sum(1) - squares @ np.diagonal(kernel)
    return np.asarray(pairs / (weights.sum(1) ** 2 - squares.sum(1)))
