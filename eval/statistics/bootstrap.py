"""Bootstrap over images: 95 % intervals of metrics, and which candidates tie.

Sources: Efron, Tibshirani, "An introduction to the bootstrap", 1993; balanced resamples after Davison,
Hinkley, Schechtman, "Efficient bootstrap simulation", Biometrika 73(3), 1986.

All candidates are scored on the same photographs against the same drawings and share one `Resamples`, whose
draws depend only on the seed and the number of images. The contribution of a photograph to all candidates
then cancels in their differences, which makes `ties` much sharper than overlapping intervals.

Each `..._replicates` function returns one value per resample. Replicates of one `Resamples` may be combined
value by value: `(1 + lpips) * (1 + fid)` are those of ArtFID.
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
"""Least number of images. Resamples of fewer are meaningless."""

MAX_IMAGES = 2000
"""Most images of a set that take part. The interval of a larger set is that of 2,000, which is too wide
rather than too narrow.
"""

NEIGHBOURS_KEPT = 24
"""Neighbours stored per image. A resample misses each with probability 0.37, all of them with 4e-11."""

Better = Literal["lower", "higher", "nearer 0.5"]


@dataclass(frozen=True, slots=True)
class Draws:
    """The resamples of one set of images."""

    chosen: Indices
    """The positions of the k images that take part, ascending."""
    counts: Array
    """How often each of them occurs in each resample: count x k. The sum of a row is k."""


@dataclass(frozen=True, slots=True)
class Resamples:
    """The draws that candidates share: `count` resamples with replacement, the same for the same seed.

    They are balanced: over all resamples together, every image is drawn equally often. The mean of the
    replicates of a mean is therefore exactly that mean.
    """

    seed: int
    count: int = 200

    def photos(self, n: int) -> Draws:
        """Return the draws of `n` photographs, and of their results in the same order."""
        return self._draws(n, 0)

    def cartoons(self, n: int) -> Draws:
        """Return the draws of `n` drawings."""
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
    """Return the 2.5 % and 97.5 % quantiles of the replicates, shifted so that their mean is `estimate`.

    The shift removes systematic differences of the replicates: FID's bias, and the other images or subsets of
    `estimate`. `within` is the range of the metric, (0, 1) for an accuracy.
    """
    low, high = np.quantile(values - values.mean() + estimate, [0.025, 0.975])
    return Interval(max(float(low), within[0]), min(float(high), within[1]))


def ties(replicates: Mapping[str, Array], estimates: Mapping[str, float], better: Better) -> set[str]:
    """Return the best candidate by `estimates` and all that do not differ from it with 95 % confidence.

    Both mappings have the candidates' names; the replicates belong to one `Resamples`. A candidate ties if
    the interval of its difference to the best, replicate by replicate, contains 0. There is no correction for
    the number of candidates.
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
    """Return values for which less is better."""
    return {"lower": values, "higher": -values, "nearer 0.5": abs(values - 0.5)}[better]


def mean_replicates(values: NDArray[Any], resamples: Resamples) -> Array:
    """Return the replicates of the mean of N values, one per photograph (LPIPS, SSIM, ...)."""
    draws = resamples.photos(len(values))
    return np.asarray(draws.counts @ np.asarray(values, np.float64)[draws.chosen] / len(draws.chosen))


def mmd2_replicates(
    real: Features, fake: Features, kernel: Callable[[Array, Array], Array], resamples: Resamples
) -> Array:
    """Return the replicates of the unbiased MMD^2 over whole sets.

    That is KID with `polynomial`, and MMD with `gaussian` and its sigma. `real` is N x D, `fake` M x D;
    `kernel` maps k x D and l x D to k x l. Images count as often as they are drawn, but an image is not
    paired with its own copies, which would make each set look more uniform than it is. Whole sets replace
    KID's subsets, whose only addition is their own randomness. Near 0, where the first-order term of MMD^2
    vanishes, the spread is too wide: up to 1.7 times on simulated sets.
    """
    x, y, real_counts, fake_counts = _drawn(real, fake, resamples)
    return weighted_mmd2(kernel(x, x), kernel(y, y), kernel(x, y), real_counts, fake_counts)


def one_nn_replicates(real: Features, fake: Features, resamples: Resamples, *, seed: int) -> Array:
    """Return the replicates of the accuracy of 1-NN.

    `seed` is that of `one_nn`, which samples the larger set down. The nearest neighbour of each drawn image
    is searched among the other images drawn, excluding its own copies. It would be simpler to resample the
    first result of each image. But images that are each other's nearest, or share a neighbour, hit and miss
    together: on simulated sets such spreads were up to a quarter too narrow, while these are between correct
    and a quarter too wide. Ties are broken randomly.
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
    """Return the positions of each row's `NEIGHBOURS_KEPT` nearest others, in order. Ties are in random
    order.
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
    """Return the replicates of FID at this number of images, shifted to the FID of the images that take part.

    FID is biased upwards, more so for fewer images, and a resample has fewer different ones: without the
    shift, the replicates would lie above their figure. The interval is that of FID at this N, not of its
    limit for infinitely many images. The spread is too wide rather than too narrow: 1.05 to 1.8 times on
    simulated sets of 40 to 60 images, most if the sets are similar or N is below D.

    With X and Y the centred sets, tr (S_x S_y)^1/2 is the sum of singular values of X Y^T, N x M, divided by
    sqrt((N - 1)(M - 1)). Three matrices of inner products, computed once, are sufficient. A replicate thus
    takes time cubic in the images, not in the features.
    """
    x, y, real_counts, fake_counts = _drawn(real, fake, resamples)
    # FID does not depend on the origin; inner products around the mean keep more digits.
    middle = (x.sum(0) + y.sum(0)) / (len(x) + len(y))
    x, y = x - middle, y - middle
    products = (x @ x.T, y @ y.T, x @ y.T)
    values = np.array([_fid(*products, v, w) for v, w in zip(real_counts, fake_counts, strict=True)])
    return np.asarray(values - values.mean() + _fid(*products, np.ones(len(x)), np.ones(len(y))))


def _drawn(real: Features, fake: Features, resamples: Resamples) -> tuple[Array, Array, Array, Array]:
    """Return the images that take part, in float64, and their counts."""
    require_same_width(real.shape[-1], fake.shape[-1])
    for features in (real, fake):
        require_features(features, "An interval", MIN_IMAGES)
    reals, fakes = resamples.cartoons(len(real)), resamples.photos(len(fake))
    x = np.asarray(real[reals.chosen], np.float64)
    y = np.asarray(fake[fakes.chosen], np.float64)
    return x, y, reals.counts, fakes.counts


def _fid(xx: Array, yy: Array, xy: Array, v: Array, w: Array) -> float:
    """Return FID of two sets from inner products, where image i counts v_i and w_i times."""
    n, m = v.sum(), w.sum()
    mean_xx, mean_yy, mean_xy = v @ xx @ v / n**2, w @ yy @ w / m**2, v @ xy @ w / (n * m)
    traces = (v @ np.diagonal(xx) - n * mean_xx) / (n - 1) + (w @ np.diagonal(yy) - m * mean_yy) / (m - 1)
    # Inner products around the resample's own means; k copies of an image equal one of length sqrt k.
    centred = xy - (xy @ w / m)[:, None] - v @ xy / n + mean_xy
    centred = centred[v > 0][:, w > 0] * np.sqrt(np.outer(v[v > 0], w[w > 0]))
    small = centred if len(centred) <= centred.shape[1] else centred.T
    # Eigenvalues keep half the digits, which is enough for a spread, in half the time of singular values.
    root = np.sqrt(np.maximum(np.linalg.eigvalsh(small @ small.T), 0)).sum() / math.sqrt((n - 1) * (m - 1))
    return float(mean_xx + mean_yy - 2 * mean_xy + traces - 2 * root)
