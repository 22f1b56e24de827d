"""Kernel inception distance: Binkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", ICLR 2018."""

from __future__ import annotations

import numpy as np

from eval.scoring.results import Spread
from eval.statistics.feature_sets import (
    Array,
    Features,
    Indices,
    require_features,
    require_same_width,
    sample,
)
from eval.statistics.kernels import polynomial, weighted_mmd2

MIN_IMAGES = 2
"""The metric averages over pairs of two different images."""

SUBSETS, SUBSET_SIZE = 100, 1000
"""The values of clean-fid."""

MAX_CACHED_IMAGES = 4096
"""Up to this number of images in both sets, all kernel values are kept (134 MB) and none is computed
twice.
"""


def kid(
    real: Features, fake: Features, *, subsets: int = SUBSETS, subset_size: int = SUBSET_SIZE, seed: int
) -> Spread:
    """Return the unbiased MMD^2 with the kernel (x . y / D + 1)^3, as mean and deviation over random subsets.

    The same seed gives the same subsets. The estimate is unbiased for any number of images: two samples of
    one distribution give about 0 and are negative about half of the time. A set compared with itself is below
    0, since only pairs across the sets contain equal images.

    Args:
        real: Features of the reference images, N x D.
        fake: Features of the results, M x D.
        subsets: Number of subsets.
        subset_size: Images of each set in a subset, drawn without repetition. It shrinks to the smaller set,
            as in clean-fid. If both sets have this size, every subset is the whole set. The deviation is then
            0 and does not measure certainty.
        seed: Random seed of the subsets.

    Raises:
        StreamtoonError: A set has fewer than 2 images, or features are not finite.
        ValueError: There is no subset, or a subset has fewer than 2 images.
    """
    require_same_width(real.shape[-1], fake.shape[-1])
    for features in (real, fake):
        require_features(features, "KID", MIN_IMAGES)
    if subsets < 1 or subset_size < MIN_IMAGES:
        raise ValueError(f"{subsets} subsets of {subset_size} images, expected at least 1 of {MIN_IMAGES}")
    size = min(subset_size, len(real), len(fake))
    if size == len(real) == len(fake):  # every subset is the whole set: only rounding would differ
        subsets = 1
    generator = np.random.default_rng(seed)
    draws = [(sample(len(real), size, generator), sample(len(fake), size, generator)) for _ in range(subsets)]
    if len(real) + len(fake) <= MAX_CACHED_IMAGES:
        reals, fakes = ([draw[side] for draw in draws] for side in (0, 1))
        values = _mmd2(real, fake, _chosen(reals, len(real)), _chosen(fakes, len(fake)))
    else:
        ones = np.ones((1, size))
        values = np.concatenate([_mmd2(real[i], fake[j], ones, ones) for i, j in draws])
    return Spread(float(values.mean()), float(values.std()))


def _mmd2(real: Features, fake: Features, real_weights: Array, fake_weights: Array) -> Array:
    x, y = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    return weighted_mmd2(polynomial(x, x), polynomial(y, y), polynomial(x, y), real_weights, fake_weights)


def _chosen(draws: list[Indices], count: int) -> Array:
    """Return the subsets as rows of ones and zeros."""
    weights = np.zeros((len(draws), count))
    for row, draw in zip(weights, draws, strict=True):
        row[draw] = 1
    return weights
