"""Leave-one-out accuracy of the nearest neighbour: Lopez-Paz, Oquab, "Revisiting classifier two-sample
tests", ICLR 2017; for pictures of GANs, Xu et al., "An empirical study on evaluation metrics of generative
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
"""With one picture a set, the one neighbour there is belongs to the other."""

MAX_DISTANCES = 2**24
"""Distances in memory at once, 134 MB."""


class OneNN(NamedTuple):
    """Shares of pictures whose nearest neighbour is of their own set, 0.5 where nothing tells them apart."""

    accuracy: float
    real: float
    """Of the real pictures. Low beside `fake`: each real picture has results nearby, which keep together."""
    fake: float


def one_nn(real: Features, fake: Features, *, seed: int) -> OneNN:
    """Accuracy with which each picture's nearest neighbour (Euclidean) among all others tells its set.

    `real` is N x D, `fake` M x D. The sets must be equally large for 0.5 to mean alike, so the larger one is
    sampled down with the seed. Of k neighbours that are equally near, of which j are of the picture's own
    set, j / k of a hit is counted: what drawing one of them by lot would give in the mean, so neither set
    nor order is favoured. Identical sets without repeated pictures score 0, not 0.5: each picture's own copy
    lies in the other set at distance 0, and a result that repeats the drawings is what a score near 0 shows.

    Raises StreamtoonError for fewer than 2 pictures in a set and for features that are not finite.
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
    """Which pictures of both sets take part: all of the smaller set and as many of the larger, ascending."""
    n = min(real, fake)
    generator = np.random.default_rng(seed)
    return sample(real, n, generator), sample(fake, n, generator)


def rounding(norms: Array, width: int) -> Array:
    """What `squared_distances` of vectors with these squared norms may be off: what is nearer is equal."""
    return np.asarray(np.finfo(np.float64).eps * width * (norms + norms.max()))


def _joined(sets: list[tuple[Features, Indices]], size: int = BLOCK) -> Iterator[tuple[int, Array]]:
    """The chosen rows of the first set, then of the second, in blocks with where they start in both."""
    (real, reals), (fake, fakes) = sets
    behind = ((len(reals) + start, rows) for start, rows in blocks(fake, fakes, size))
    return chain(blocks(real, reals, size), behind)
