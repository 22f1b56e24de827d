"""Leave-one-out accuracy of the nearest neighbour: Lopez-Paz, Oquab, "Revisiting classifier two-sample
tests", ICLR 2017; for images of GANs, Xu et al., "An empirical study on evaluation metrics of generative
adversarial networks", 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from eval.statistics.feature_sets import (
    BLOCK,
    Array,
    Features,
    Indices,
    blocks,
    require_features,
    require_same_width,
    sample,
)
from eval.statistics.kernels import squared_distances

MIN_IMAGES = 2
"""If each set has one image, its only neighbour is in the other set."""

MAX_DISTANCES = 2**24
"""Distances in memory at a time, 134 MB."""


class OneNN(NamedTuple):
    """Shares of images whose nearest neighbour is in their own set. 0.5 if the sets cannot be told apart."""

    accuracy: float
    real: float
    """The share of the real images. Low next to `fake` if real images have results nearby, which cluster."""
    fake: float


def one_nn(real: Features, fake: Features, *, seed: int) -> OneNN:
    """Return how often each image's nearest neighbour (Euclidean) among all others is in the same set.

    `real` is N x D, `fake` M x D. Chance is 0.5 only for sets of equal size, so the larger set is sampled
    down with the seed. If k neighbours are equally near and j of them are in the image's own set, j / k of a
    hit is counted. That is the mean of a random choice, so neither set nor order is favoured. Identical sets
    without repeated images score 0, not 0.5: the other set contains a copy of each image at distance 0. A
    score near 0 therefore shows that the results repeat the drawings.

    Raises StreamtoonError for fewer than 2 images in a set and for features that are not finite.
    """
    require_same_width(real.shape[-1], fake.shape[-1])
    for features in (real, fake):
        require_features(features, "1-NN", MIN_IMAGES)
    reals, fakes = equal_numbers(len(real), len(fake), seed)
    sets = [(real, reals), (fake, fakes)]
    n = len(reals)
    is_fake = np.arange(2 * n) >= n
    norms = np.concatenate([np.square(x).sum(1) for _, x in _joined(sets)])
    slack = rounding(norms, real.shape[1])
    hits = np.empty(2 * n)
    for start, x in _joined(sets, max(1, min(BLOCK, MAX_DISTANCES // (2 * n)))):
        rows = np.arange(start, start + len(x))
        distances = np.empty((len(x), 2 * n))
        for other, y in _joined(sets):
            distances[:, other : other + len(y)] = squared_distances(x, y)
        distances[rows - start, rows] = np.inf
        tied = distances <= (distances.min(1) + slack[rows])[:, None]
        hits[rows] = (tied & (is_fake == is_fake[rows, None])).sum(1) / tied.sum(1)
    return OneNN(float(hits.mean()), float(hits[:n].mean()), float(hits[n:].mean()))


def equal_numbers(real: int, fake: int, seed: int) -> tuple[Indices, Indices]:
    """Return which images of both sets take part, ascending: all of the smaller set, as many of the
    larger.
    """
    n = min(real, fake)
    generator = np.random.default_rng(seed)
    return sample(real, n, generator), sample(fake, n, generator)


def rounding(norms: Array, width: int) -> Array:
    """Return the error bound of `squared_distances` for these squared norms. Smaller differences are ties."""
    return np.asarray(np.finfo(np.float64).eps * width * (norms + norms.max()))


def _joined(sets: list[tuple[Features, Indices]], size: int = BLOCK) -> Iterator[tuple[int, Array]]:
    """Yield the chosen rows of both sets, one after the other, in blocks with their start positions."""
    (real, reals), (fake, fakes) = sets
    behind = ((len(reals) + start, rows) for start, rows in blocks(fake, fakes, size))
    return chain(blocks(real, reals, size), behind)
