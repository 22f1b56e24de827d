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
"""A covariance wants two pictures. Below some thousands FID is biased upwards: compare equal numbers only."""


class Moments:
    """Count, sum and sum of outer products of feature vectors, in float64: all that FID needs of a set.

    The order and the sizes of the blocks change nothing but the last digits. Memory: D x D, for any count.
    """

    def __init__(self, width: int) -> None:
        self.count = 0
        self.sum: Array = np.zeros(width)
        self.outer: Array = np.zeros((width, width))

    @classmethod
    def of(cls, features: Features) -> Moments:
        """The moments of a whole set, N x D."""
        moments = cls(features.shape[1])
        moments.add(features)
        return moments

    def add(self, block: Features) -> None:
        """Takes N x D more feature vectors in.

        Raises StreamtoonError, and takes nothing in, where one is not finite; ValueError unless it is N x D.
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
        """D x D, unbiased: divided by the count less one."""
        return np.asarray((self.outer - self.count * np.outer(self.mean, self.mean)) / (self.count - 1))


def fid(a: Moments, b: Moments) -> float:
    """||mu_a - mu_b||^2 + tr(S_a + S_b - 2 (S_a S_b)^1/2), at least 0 (Heusel et al., Eq. 6).

    With factors S = L L^T, the products S_a S_b = L_a (L_a^T S_b) and (L_a^T S_b) L_a have the same
    eigenvalues but for zeros, since XY and YX always do. The second is (L_a^T L_b)(L_a^T L_b)^T, symmetric
    with no eigenvalue below 0. So the trace of the usual matrix root of S_a S_b, the sum of the roots of its
    eigenvalues, is the sum of the singular values of L_a^T L_b: real, and to full precision where a root of
    rounded eigenvalues keeps half the digits. L is as wide as its covariance's rank, so sets with fewer
    pictures than features are no special case.

    Raises StreamtoonError for fewer than 2 pictures in a set.
    """
    require_same_width(len(a.sum), len(b.sum))
    for moments in (a, b):
        require_count(moments.count, "FID", MIN_IMAGES)
    root = np.linalg.svd(_factor(a).T @ _factor(b), compute_uv=False).sum()
    means = float(np.square(a.mean - b.mean).sum())
    return max(0.0, means + float(np.trace(a.covariance) + np.trace(b.covariance) - 2 * root))


def _factor(moments: Moments) -> Array:
    """L, D x rank, with L L^T the covariance: Cholesky's, the largest remaining variance first."""
    # What is left of a variance below the rounding of the sums that it came from is not there.
    terms = max(moments.count, moments.sum.size)
    rounding = np.finfo(np.float64).eps * terms * np.diagonal(moments.outer).max() / moments.count
    lower, order, rank, _ = dpstrf(moments.covariance, tol=rounding, lower=1)
    factor = np.zeros((moments.sum.size, rank))
    factor[order - 1] = np.tril(lower)[:, :rank]
    return factor
