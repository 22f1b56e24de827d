"""Gaussian kernel MMD: Gretton, Borgwardt, Rasch, Schölkopf, Smola, "A kernel two-sample test",
JMLR 13, 2012.
"""

from __future__ import annotations

import math

import numpy as np

from engines.errors import StreamtoonError
from eval.statistics.feature_sets import Features, blocks, require_features, require_same_width, sample
from eval.statistics.kernels import gaussian, squared_distances

MIN_IMAGES = 2
"""Pairs of two different pictures are what is averaged."""

MEDIAN_SAMPLE = 1000
"""Pictures whose pairwise distances the median is taken of."""


def mmd(a: Features, b: Features, *, sigma: float) -> float:
    """Unbiased MMD^2 with the kernel exp(-||x - y||^2 / (2 sigma^2)) (Gretton et al., Eq. 3).

    `a` is N x D, `b` M x D; all pairs count, in blocks. Two samples of one distribution give about 0, and
    less about half of the time; a set against itself is below 0. `sigma` is in the features' own unit and
    belongs to the number: values at different sigmas cannot be compared, so take `median_distance` of the
    drawings for every candidate.

    "Cartoon to human recovery with Cycle-GAN" takes the mean distance between real pictures in place of the
    median and leaves open whether a picture is paired with itself: its figures are on another scale.

    Raises StreamtoonError for fewer than 2 pictures in a set and for features that are not finite, ValueError
    where sigma is not a positive number.
    """
    require_same_width(a.shape[-1], b.shape[-1])
    for features in (a, b):
        require_features(features, "MMD", MIN_IMAGES)
    if not 0 < sigma < math.inf:
        raise ValueError(f"sigma is {sigma}, expected a positive number")
    return _within(a, sigma) + _within(b, sigma) - 2 * _across(a, b, sigma)


def median_distance(real: Features, *, seed: int) -> float:
    """The median heuristic for `sigma`: the median distance between two different pictures of `real`, N x D.

    Gretton et al. take it over both sets together. Here it is of the drawings alone, so that all candidates
    scored against the same drawings share one kernel and can be compared. Of more than 1,000 pictures,
    1,000 are drawn with the seed. Raises StreamtoonError where it is 0, for fewer than 2 pictures and for
    features that are not finite.
    """
    require_features(real, "MMD", MIN_IMAGES)
    chosen = sample(len(real), MEDIAN_SAMPLE, np.random.default_rng(seed))
    x = np.asarray(real[chosen], np.float64)
    # Around their mean the distances of features far from 0 keep their digits, and equal pictures a 0.
    x -= x.mean(0)
    squares = squared_distances(x, x)[np.triu_indices(len(x), 1)]
    median = float(np.sqrt(np.median(squares)))
    if median <= np.sqrt(np.finfo(np.float64).eps * x.shape[1] * np.square(x).sum(1).max()):
        raise StreamtoonError(
            "Most of the drawings are the same picture to the feature network, so MMD has no scale: "
            "give different drawings, or leave MMD out."
        )
    return median


def _within(features: Features, sigma: float) -> float:
    total = 0.0
    for start, x in blocks(features):
        for other, y in blocks(features):
            kernel = gaussian(x, y, sigma)
            if start == other:
                np.fill_diagonal(kernel, 0)
            total += float(kernel.sum())
    return total / (len(features) * (len(features) - 1))


def _across(a: Features, b: Features, sigma: float) -> float:
    total = sum(float(gaussian(x, y, sigma).sum()) for _, x in blocks(a) for _, y in blocks(b))
    return total / (len(a) * len(b))
