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
"""The metric averages over pairs of two different images."""

MEDIAN_SAMPLE = 1000
"""Images whose pairwise distances give the median."""


def mmd(a: Features, b: Features, *, sigma: float) -> float:
    """Return the unbiased MMD^2 with the kernel exp(-||x - y||^2 / (2 sigma^2)) (Gretton et al., Eq. 3).

    `a` is N x D, `b` M x D. All pairs count; they are computed in blocks. Two samples of one distribution
    give about 0 and are negative about half of the time. A set compared with itself is below 0. `sigma` has
    the unit of the features. Values with different sigmas are not comparable, so use the `median_distance` of
    the drawings for every candidate.

    "Cartoon to human recovery with Cycle-GAN" uses the mean distance of real images instead of the median and
    does not say whether an image is paired with itself. Its figures have another scale.

    Raises StreamtoonError for fewer than 2 images in a set and for features that are not finite, ValueError
    if sigma is not a positive number.
    """
    require_same_width(a.shape[-1], b.shape[-1])
    for features in (a, b):
        require_features(features, "MMD", MIN_IMAGES)
    if not 0 < sigma < math.inf:
        raise ValueError(f"sigma is {sigma}, expected a positive number")
    return _within(a, sigma) + _within(b, sigma) - 2 * _across(a, b, sigma)


def median_distance(real: Features, *, seed: int) -> float:
    """Return the median heuristic for `sigma`: the median distance of two different images of `real`, N x D.

    Gretton et al. use both sets together. Here only the drawings count, so that all candidates scored against
    the same drawings share one kernel and are comparable. Of more than 1,000 images, a random sample of 1,000
    is used. Raises StreamtoonError if the median is 0, for fewer than 2 images and for features that are not
    finite.
    """
    require_features(real, "MMD", MIN_IMAGES)
    chosen = sample(len(real), MEDIAN_SAMPLE, np.random.default_rng(seed))
    x = np.asarray(real[chosen], np.float64)
    # Centred features far from 0 keep the digits of their distances, and equal images have a distance of 0.
    x -= x.mean(0)
    squares = squared_distances(x, x)[np.triu_indices(len(x), 1)]
    median = float(np.sqrt(np.median(squares)))
    if median <= np.sqrt(np.finfo(np.float64).eps * x.shape[1] * np.square(x).sum(1).max()):
        raise StreamtoonError(
            "MMD has no scale, because the feature network sees most of the drawings as the same "
            "image. Use different drawings, or leave MMD out."
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
