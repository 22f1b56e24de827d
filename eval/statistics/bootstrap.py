"""How certain a figure is: 95 % intervals by bootstrap over pictures, and which candidates tie.

Efron, Tibshirani, "An introduction to the bootstrap", 1993; balanced resamples after Davison, Hinkley,
Schechtman, "Efficient bootstrap simulation", Biometrika 73(3), 1986.

Candidates are scored on the same photographs against the same drawings, so all share one `Resamples`: its
draws hang on the seed and the number of pictures alone. What a photograph adds to every candidate then
cancels in their differences, which makes `ties` much sharper than intervals that overlap.

Each `..._replicates` function gives one value per resample. Replicates of one `Resamples` may be combined
value by value: `(1 + lpips) * (1 + fid)` are ArtFID's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eval.metrics.one_nn import equal_numbers, rounding
from eval.scoring.results import Interval
from eval.statistics.feature_sets import (
    Array,
    Features,
    Indices,
    require_count,
    require_features,
    require_same_width,
    sample,
)
from eval.statistics.kernels import squared_distances, weighted_mmd2

MIN_IMAGES = 10
"""Pictures below which resamples say nothing."""

MAX_IMAGES = 2000
"""Pictures of a set that take part. An interval of more is that of 2,000: too wide rather than too narrow."""

NEIGHBOURS_KEPT = 24
"""Neighbours kept of a picture. A resample misses each with a chance of 0.37, all of them with 4e-11."""

Better = Literal["lower", "higher", "nearer 0.5"]


@dataclass(frozen=True, slots=True)
class Draws:
    """Resamples of one set of pictures."""

    chosen: Indices
    """The k pictures that take part, ascending."""
    counts: Array
    """How often each of them is in each resample, count x k; rows add up to k."""


@dataclass(frozen=True, slots=True)
class Resamples:
    """The draws that candidates share: `count` resamples with replacement, the same for the same seed.

    They are balanced: over all resamples together every picture is drawn equally often, so replicates of a
    mean have exactly that mean for theirs.
    """

    seed: int
    count: int = 200

    def photos(self, n: int) -> Draws:
        """Of `n` photographs, and so of the results made of them, in the same order."""
        return self._draws(n, 0)

    def cartoons(self, n: int) -> Draws:
        """Of `n` drawings."""
        return self._draws(n, 1)

    def _draws(self, n: int, stream: int) -> Draws:
        require_count(n, "An interval", MIN_IMAGES)
        generator = np.random.default_rng([self.seed, stream])
        chosen = sample(n, MAX_IMAGES, generator)
        k = len(chosen)
        drawn = generator.permutation(np.tile(np.arange(k), self.count)).reshape(self.count, k)
        counts = np.stack([np.bincount(row, minlength=k) for row in drawn])
        return Draws(chosen, counts.astype(np.float64))


def interval(values: Array, estimate: float, within: tuple[float, float] = (-math.inf, math.inf)) -> Interval:
    """The 2.5 % and 97.5 % points of the replicates, shifted so that their mean is `estimate`.

    The shift takes out what replicates are off in the mean: FID's bias, and the other pictures or subsets
    that `estimate` may come from. `within` is the metric's range, (0, 1) for an accuracy.
    """
    low, high = np.quantile(values - values.mean() + estimate, [0.025, 0.975])
    return Interval(max(float(low), within[0]), min(float(high), within[1]))


def ties(replicates: Mapping[str, Array], estimates: Mapping[str, float], better: Better) -> set[str]:
    """The best candidate by `estimates` and all that cannot be told from it with 95 % confidence.

    Both map the candidates' names; replicates come from one `Resamples`. A candidate ties where the interval
    of its difference to the best, replicate by replicate, holds 0. Each is compared with the best on its
    own: no correction is made for how many there are.
    """
    worse = {name: float(_worse(np.float64(value), better)) for name, value in estimates.items()}
    best = min(worse, key=worse.__getitem__)
    shifted = {name: values - values.mean() + estimates[name] for name, values in replicates.items()}
    tied = {best}
    for name, values in shifted.items():
        low, high = np.quantile(_worse(values, better) - _worse(shifted[best], better), [0.025, 0.975])
        if low <= 0 <= high:
            tied.add(name)
    return tied


def _worse(values: Any, better: Better) -> Any:
    """The same, where less is better."""
    return {"lower": values, "higher": -values, "nearer 0.5": abs(values - 0.5)}[better]


def mean_replicates(values: NDArray[Any], resamples: Resamples) -> Array:
    """Of the mean of one value a photograph, N of them (LPIPS, SSIM, ...)."""
    draws = resamples.photos(len(values))
    return np.asarray(draws.counts @ np.asarray(values, np.float64)[draws.chosen] / len(draws.chosen))


def mmd2_replicates(
    real: Features, fake: Features, kernel: Callable[[Array, Array], Array], resamples: Resamples
) -> Array:
    """Of the unbiased MMD^2 over the whole sets: KID with `polynomial`, MMD with `gaussian` and its sigma.

    `real` is N x D, `fake` M x D, `kernel` of k x D and l x D gives k x l. Pictures count as often as they
    are drawn, but a pair of a picture with its own copy does not count: the copies of a plain resample would
    make each set look more alike than it is. Whole sets rather than KID's subsets: what subsets add is their
    own chance. Near 0, where MMD^2's first order vanishes, the spread is too wide: 1.7 times at worst on
    simulated sets.
    """
    x, y, real_counts, fake_counts = _drawn(real, fake, resamples)
    return weighted_mmd2(kernel(x, x), kernel(y, y), kernel(x, y), real_counts, fake_counts)


def one_nn_replicates(real: Features, fake: Features, resamples: Resamples, *, seed: int) -> Array:
    """Of the accuracy of 1-NN; `seed` is `one_nn`'s, with which the larger set is sampled down.

    Each drawn picture looks for its nearest neighbour among the other pictures drawn, never among its own
    copies. Resampling what each picture's neighbour said the first time would be simpler, but pictures that
    are each other's nearest, or share one, hit and miss together: on simulated sets such spreads came out up
    to a quarter too narrow, and these from right to a quarter too wide. Ties are broken by lot.
    """
    require_same_width(real.shape[-1], fake.shape[-1])
    reals, fakes = equal_numbers(len(real), len(fake), seed)
    left, right = resamples.cartoons(len(reals)), resamples.photos(len(fakes))
    for features in (real, fake):
        require_features(features, "An interval", MIN_IMAGES)
    z = np.concatenate([real[reals[left.chosen]], fake[fakes[right.chosen]]]).astype(np.float64)
    is_fake = np.arange(len(z)) >= len(left.chosen)
    order = _nearest(z, np.random.default_rng(seed))
    everyone = np.arange(len(z))
    values = np.empty(resamples.count)
    for n, counts in enumerate(np.concatenate([left.counts, right.counts], 1)):
        neighbour = order[everyone, (counts > 0)[order].argmax(1)]
        values[n] = counts @ (is_fake[neighbour] == is_fake) / len(z)
    return values


def _nearest(z: Array, generator: np.random.Generator) -> Indices:
    """The positions of each row's `NEIGHBOURS_KEPT` nearest others, in order; equally near ones in a random
    one.
    """
    distances = squared_distances(z, z)
    distances += rounding(np.square(z).sum(1), z.shape[1])[:, None] * generator.random(distances.shape)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argpartition(distances, min(NEIGHBOURS_KEPT, len(z) - 1) - 1, 1)[
        :, : min(NEIGHBOURS_KEPT, len(z) - 1)
    ]
    order = np.take_along_axis(distances, nearest, 1).argsort(1)
    return np.take_along_axis(nearest, order, 1)


def fid_replicates(real: Features, fake: Features, resamples: Resamples) -> Array:
    """Of FID at this number of pictures, shifted so that their mean is FID of the pictures that take part.

    FID is biased upwards the more, the fewer pictures there are, and a resample has fewer different ones:
    unshifted, the replicates would lie above the figure that they belong to. The interval is that of FID at
    this N, not of its limit at infinitely many pictures. The spread is too wide rather than too narrow: 1.05
    to 1.8 times on simulated sets of 40 to 60 pictures, most where the sets are alike or N is below D.

    With X and Y the centred sets, tr (S_x S_y)^1/2 is the sum of singular values of X Y^T, N x M, over
    sqrt((N - 1)(M - 1)); all of it comes out of the three matrices of inner products, taken once, so a
    replicate costs pictures cubed and not features cubed.
    """
    x, y, real_counts, fake_counts = _drawn(real, fake, resamples)
    # FID does not know where 0 is; inner products keep more digits around it.
    middle = (x.sum(0) + y.sum(0)) / (len(x) + len(y))
    x, y = x - middle, y - middle
    products = (x @ x.T, y @ y.T, x @ y.T)
    values = np.array([_fid(*products, v, w) for v, w in zip(real_counts, fake_counts, strict=True)])
    return np.asarray(values - values.mean() + _fid(*products, np.ones(len(x)), np.ones(len(y))))


def _drawn(real: Features, fake: Features, resamples: Resamples) -> tuple[Array, Array, Array, Array]:
    """The pictures that take part, in float64, and their counts."""
    require_same_width(real.shape[-1], fake.shape[-1])
    for features in (real, fake):
        require_features(features, "An interval", MIN_IMAGES)
    reals, fakes = resamples.cartoons(len(real)), resamples.photos(len(fake))
    x = np.asarray(real[reals.chosen], np.float64)
    y = np.asarray(fake[fakes.chosen], np.float64)
    return x, y, reals.counts, fakes.counts


def _fid(xx: Array, yy: Array, xy: Array, v: Array, w: Array) -> float:
    """FID of two sets in which picture i counts v_i and w_i times, from their inner products."""
    n, m = v.sum(), w.sum()
    mean_xx, mean_yy, mean_xy = v @ xx @ v / n**2, w @ yy @ w / m**2, v @ xy @ w / (n * m)
    traces = (v @ np.diagonal(xx) - n * mean_xx) / (n - 1) + (w @ np.diagonal(yy) - m * mean_yy) / (m - 1)
    # The inner products around the resample's own means; k copies of a picture are one of length sqrt k.
    centred = xy - (xy @ w / m)[:, None] - v @ xy / n + mean_xy
    centred = centred[v > 0][:, w > 0] * np.sqrt(np.outer(v[v > 0], w[w > 0]))
    small = centred if len(centred) <= centred.shape[1] else centred.T
    # Half the digits, which is plenty for a spread, at half the time of singular values.
    root = np.sqrt(np.maximum(np.linalg.eigvalsh(small @ small.T), 0)).sum() / math.sqrt((n - 1) * (m - 1))
    return float(mean_xx + mean_yy - 2 * mean_xy + traces - 2 * root)
