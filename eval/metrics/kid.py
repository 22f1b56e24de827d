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
"""Pairs of two different pictures are what is averaged."""

SUBSETS, SUBSET_SIZE = 100, 1000
"""clean-fid's."""

MAX_CACHED_IMAGES = 4096
"""Pictures of both sets together up to which every kernel value is kept (134 MB) and none computed twice."""


def kid(
    real: Features, fake: Features, *, subsets: int = SUBSETS, subset_size: int = SUBSET_SIZE, seed: int
) -> Spread:
    """Unbiased MMD^2 with the kernel (x . y / D + 1)^3, as mean and deviation over random subsets.

    `real` is N x D, `fake` M x D. A subset is `subset_size` pictures of each set, drawn without repetition;
    it shrinks to the smaller set, as clean-fid has it. Where both sets are as large as that, every subset
    is the whole and the deviation is 0: it is no measure of certainty. The estimate has no bias at any
    number of pictures, so two samples of one distribution give about 0, and less about half of the time; a
    set against itself is below 0, because only the pairs across sets hold a picture and its equal.

    The same seed gives the same subsets. Raises StreamtoonError for fewer than 2 pictures in a set and for
    features that are not finite.
    """
    require_same_width(real.shape[-1], fake.shape[-1])
    for features in (real, fake):
        require_features(features, "KID", MIN_IMAGES)
    if subsets < 1 or subset_size < MIN_IMAGES:
        raise ValueError(f"{subsets} subsets of {subset_size}, expected at least 1 of {MIN_IMAGES}")
    size = min(subset_size, len(real), len(fake))
    if size == len(real) == len(fake):  # every subset is the whole: what differed would be rounding
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
    """Subsets as rows of ones and zeros."""
    weights = np.zeros((len(draws), count))
    for row, draw in zip(weights, draws, strict=True):
        row[draw] = 1
    return weights
