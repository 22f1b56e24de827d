"""Fréchet inception distance: Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter, "GANs trained by a two
time-scale update rule converge to a local Nash equilibrium", NeurIPS 2017.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpstrf

from eval.statistics.feature_sets import (
    Array,
    Features,
    blocks,
    require_count,
    require_finite,
    require_same_width,
)

MIN_IMAGES = 2
"""A covariance needs two images. FID is biased upwards below some thousands: compare equal numbers only."""


class Moments:
    """Count, sum and sum of outer products of feature vectors in float64, which is all that FID needs of a
    set.

    The order and the size of the blocks change only the last digits. Memory is D x D for any count.
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self.sum: Array = np.zeros(width)
        self.outer: Array = np.zeros((width, width))

    @classmethod
    def of(cls, features: Features) -> Moments:
        """Return the moments of a whole set, N x D."""
        moments = cls(features.shape[1])
        moments.add(features)
        return moments

    def add(self, block: Features) -> None:
        """Add N x D feature vectors.

        Raises StreamtoonError and adds nothing if one is not finite, ValueError unless the shape is N x D.
        """
        if block.ndim != 2:
            raise ValueError(f"shape {block.shape}, expected N x D")
        require_same_width(block.shape[1], len(self.sum))
        require_finite(block, self.count)
        for _, rows in blocks(block):
            self.count += len(rows)
            self.sum += rows.sum(0)
            self.outer += rows.T @ rows

    @property
    def mean(self) -> Array:
        """D values."""
        return np.asarray(self.sum / self.count)

    @property
    def covariance(self) -> Array:
        """The unbiased D x D covariance, divided by the count minus one."""
        return np.asarray((self.outer - self.count * np.outer(self.mean, self.mean)) / (self.count - 1))


def fid(a: Moments, b: Moments) -> float:
    """Return ||mu_a - mu_b||^2 + tr(S_a + S_b - 2 (S_a S_b)^1/2), at least 0 (Heusel et al., Eq. 6).

    Let S = L L^T. The products S_a S_b = L_a (L_a^T S_b) and (L_a^T S_b) L_a have the same nonzero
    eigenvalues, since XY and YX always do. The second product is (L_a^T L_b)(L_a^T L_b)^T, which is symmetric
    and positive semidefinite. The trace of the matrix root of S_a S_b is therefore the sum of the singular
    values of L_a^T L_b. It is real and has full precision, while roots of rounded eigenvalues keep half the
    digits. L is as wide as the rank of its covariance, so sets with fewer images than features need no
    special case.

    Raises StreamtoonError for fewer than 2 images in a set.
    """
    require_same_width(len(a.sum), len(b.sum))
    for moments in (a, b):
        require_count(moments.count, "FID", MIN_IMAGES)
    root = np.linalg.svd(_factor(a).T @ _factor(b), compute_uv=False).sum()
    means = float(np.square(a.mean - b.mean).sum())
    return max(0.0, means + float(np.trace(a.covariance) + np.trace(b.covariance) - 2 * root))


def _factor(moments: Moments) -> Array:
    """Return L, D x rank, with L L^T the covariance, by Cholesky with the largest remaining variance
    first.
    """
    # A remaining variance below the rounding error of the sums is zero.
    terms = max(moments.count, moments.sum.size)
    rounding = np.finfo(np.float64).eps * terms * np.diagonal(moments.outer).max() / moments.count
    lower, order, rank, _ = dpstrf(moments.covariance, tol=rounding, lower=1)
    factor = np.zeros((moments.sum.size, rank))
    factor[order - 1] = np.tril(lower)[:, :rank]
    return factor
