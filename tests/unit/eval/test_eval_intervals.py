"""Bootstrap replicates against the metrics on pictures really repeated, and intervals against the truth."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.errors import StreamtoonError
from eval.metrics.fid import Moments, fid
from eval.metrics.kid import kid
from eval.metrics.mmd import mmd
from eval.metrics.one_nn import one_nn
from eval.scoring.results import Interval
from eval.statistics.bootstrap import (
    MAX_IMAGES,
    Resamples,
    fid_replicates,
    interval,
    mean_replicates,
    mmd2_replicates,
    one_nn_replicates,
    ties,
)
from eval.statistics.kernels import gaussian, polynomial

Array = NDArray[np.float64]
REAL, FAKE = 11, 14


def draw(count: int, width: int = 4, seed: int = 0, shift: float = 0.0, scale: float = 1.0) -> Array:
    return np.random.default_rng(seed).normal(shift, scale, (count, width))


def repeated(count: int, counts: Array) -> list[int]:
    """Which picture stands at each place of a resample."""
    return [i for i in range(count) for _ in range(int(counts[i]))]


def test_resamples_are_shared_balanced_and_hang_on_the_seed() -> None:
    draws = Resamples(7, 50).photos(30)
    assert draws.chosen.tolist() == list(range(30))
    assert draws.counts.shape == (50, 30)
    assert (draws.counts.sum(1) == 30).all()
    assert (draws.counts.sum(0) == 50).all()
    np.testing.assert_array_equal(draws.counts, Resamples(7, 50).photos(30).counts)
    for other in (Resamples(8, 50).photos(30), Resamples(7, 50).cartoons(30)):
        assert (other.counts != draws.counts).any()
    # As many different pictures as drawing with replacement gives: 1 - (1 - 1/n)^n of them.
    assert (draws.counts > 0).mean() == pytest.approx(1 - (1 - 1 / 30) ** 30, abs=0.02)


def test_at_most_two_thousand_pictures_take_part() -> None:
    draws = Resamples(1, 4).photos(5000)
    assert draws.counts.shape == (4, MAX_IMAGES)
    assert len(set(draws.chosen.tolist())) == MAX_IMAGES
    assert draws.chosen.max() > 4000
    values = np.arange(5000.0)
    assert mean_replicates(values, Resamples(1, 4)).mean() == pytest.approx(values[draws.chosen].mean())


def test_replicates_of_a_mean_are_means_of_the_pictures_drawn() -> None:
    values, resamples = draw(15, 1)[:, 0], Resamples(3, 20)
    draws = resamples.photos(15)
    expected = [values[repeated(15, counts)].mean() for counts in draws.counts]
    np.testing.assert_allclose(mean_replicates(values, resamples), expected, rtol=1e-12)
    assert np.mean(expected) == pytest.approx(values.mean(), rel=1e-12)


def test_replicates_of_mmd_pair_no_picture_with_its_copy() -> None:
    real, fake, resamples = draw(REAL, seed=1), draw(FAKE, seed=2, shift=0.5), Resamples(5, 3)
    values = mmd2_replicates(real, fake, polynomial, resamples)

    def k(x: Array, y: Array) -> float:
        return float((x @ y / 4 + 1) ** 3)

    for n in range(3):
        i = repeated(REAL, resamples.cartoons(REAL).counts[n])
        j = repeated(FAKE, resamples.photos(FAKE).counts[n])
        within_real = [k(real[p], real[q]) for p, q in product(i, i) if p != q]
        within_fake = [k(fake[p], fake[q]) for p, q in product(j, j) if p != q]
        across = [k(real[p], fake[q]) for p, q in product(i, j)]
        expected = np.mean(within_real) + np.mean(within_fake) - 2 * np.mean(across)
        assert values[n] == pytest.approx(expected, rel=1e-10)


def test_replicates_of_kid_and_mmd_lie_about_the_figure_in_spite_of_copies() -> None:
    real, fake, resamples = draw(60, seed=1), draw(50, seed=2, shift=0.3), Resamples(0, 4000)
    values = mmd2_replicates(real, fake, partial(gaussian, sigma=2.0), resamples)
    assert abs(values.mean() - mmd(real, fake, sigma=2.0)) < 4 * values.std() / math.sqrt(4000)
    values = mmd2_replicates(real, fake[:, :], polynomial, resamples)
    whole = kid(real[:50], fake, subsets=1, seed=0).mean, kid(real, fake, subsets=4000, seed=0).mean
    assert abs(values.mean() - whole[1]) < abs(whole[0] - whole[1]) + 4 * values.std() / math.sqrt(4000)


def test_replicates_of_fid_are_fid_of_the_pictures_drawn_shifted_to_fid_of_all() -> None:
    for width in (4, 40):
        real, fake = draw(REAL, width, 1) + 9, draw(FAKE, width, 2, shift=0.5) + 9
        resamples = Resamples(5, 6)
        expected = []
        for n in range(6):
            i = repeated(REAL, resamples.cartoons(REAL).counts[n])
            j = repeated(FAKE, resamples.photos(FAKE).counts[n])
            expected.append(fid(Moments.of(real[i]), Moments.of(fake[j])))
        values = fid_replicates(real, fake, resamples)
        whole = fid(Moments.of(real), Moments.of(fake))
        np.testing.assert_allclose(values, np.array(expected) - np.mean(expected) + whole, rtol=1e-6)
        assert np.mean(expected) > whole, "a resample's FID is biased upwards"


def test_replicates_of_one_nn_look_among_the_other_pictures_drawn() -> None:
    real, fake, resamples = draw(FAKE, seed=1), draw(FAKE, seed=2, shift=0.5), Resamples(5, 5)
    values = one_nn_replicates(real, fake, resamples, seed=0)
    for n in range(5):
        everyone = [
            (x, index, label)
            for label, (features, draws) in enumerate(
                [(real, resamples.cartoons(FAKE)), (fake, resamples.photos(FAKE))]
            )
            for index, x in ((i, features[i]) for i in repeated(FAKE, draws.counts[n]))
        ]
        hits = []
        for x, index, label in everyone:
            others = [(math.dist(x, y), theirs) for y, i, theirs in everyone if (i, theirs) != (index, label)]
            hits.append(min(others)[1] == label)
        assert values[n] == pytest.approx(np.mean(hits), abs=1e-12)


def test_replicates_of_one_nn_take_equal_numbers() -> None:
    real, fake = draw(40, seed=1), draw(15, seed=2)
    values = one_nn_replicates(real, fake, Resamples(2), seed=3)
    assert values.shape == (200,)
    # All of 40 beside 15 would be right most of the time.
    assert abs(values.mean() - one_nn(real, fake, seed=3).accuracy) < 0.12
    np.testing.assert_array_equal(values, one_nn_replicates(real, fake, Resamples(2), seed=3))
    copies = one_nn_replicates(fake, fake.copy(), Resamples(2), seed=3)
    assert (copies < 1).all(), "the copy that was drawn too, of the other set, is the nearest"


def test_an_interval_is_shifted_to_the_figure_and_kept_in_range() -> None:
    values = np.linspace(0, 1, 1001)
    low, high = interval(values, 0.5)
    assert (low, high) == pytest.approx((0.025, 0.975))
    assert interval(values, 10.5) == pytest.approx((10.025, 10.975))
    assert interval(values, 0.9, within=(0, 1)) == pytest.approx((0.425, 1))
    assert isinstance(interval(values, 0.5), Interval)


TRIALS = 100


def coverage(truth: float, once: Callable[[int], Interval]) -> float:
    """Share of seeded trials whose interval holds the truth."""
    found = [once(n) for n in range(TRIALS)]
    return float(np.mean([low <= truth <= high for low, high in found]))


# 95 of 100 within four of its own deviations; above that the intervals are too wide, which is said of some.
LEAST = 0.95 - 4 * math.sqrt(0.95 * 0.05 / TRIALS)


def test_intervals_of_a_mean_cover_it_at_the_stated_rate() -> None:
    def once(n: int) -> Interval:
        values = np.random.default_rng(n).uniform(0, 1, 60)
        return interval(mean_replicates(values, Resamples(n)), values.mean())

    assert LEAST < coverage(0.5, once) < 1


def test_intervals_of_mmd_cover_the_closed_form() -> None:
    # E k(x, y) of two Gaussians under a Gaussian kernel is a Gaussian again.
    def kernel(shift: float, variance: float) -> float:
        return (4 / (4 + variance)) ** 2 * math.exp(-4 * shift**2 / (2 * (4 + variance)))

    truth = kernel(0, 2) + kernel(0, 2 * 0.64) - 2 * kernel(0.8, 1.64)

    def once(n: int) -> Interval:
        real, fake = draw(50, seed=n), draw(60, seed=9999 + n, shift=0.8, scale=0.8)
        values = mmd2_replicates(real, fake, partial(gaussian, sigma=2.0), Resamples(n))
        return interval(values, mmd(real, fake, sigma=2.0))

    assert LEAST < coverage(truth, once) < 1


def test_intervals_of_one_nn_cover_its_mean() -> None:
    def pair(n: int) -> tuple[Array, Array]:
        return draw(60, seed=n), draw(60, seed=9999 + n, shift=0.6)

    truth = float(np.mean([one_nn(*pair(500 + n), seed=0).accuracy for n in range(500)]))

    def once(n: int) -> Interval:
        values = one_nn_replicates(*pair(n), Resamples(n), seed=0)
        return interval(values, one_nn(*pair(n), seed=0).accuracy)

    assert coverage(truth, once) > LEAST


def test_intervals_of_fid_cover_fid_at_this_number_of_pictures() -> None:
    def moments(n: int) -> tuple[Array, Array]:
        return draw(50, seed=n), draw(60, seed=9999 + n, shift=0.8, scale=1.3)

    def figure(n: int) -> float:
        return fid(*(Moments.of(features) for features in moments(n)))

    truth = float(np.mean([figure(500 + n) for n in range(400)]))

    def once(n: int) -> Interval:
        return interval(fid_replicates(*moments(n), Resamples(n)), figure(n))

    assert coverage(truth, once) > LEAST


def test_a_shared_photograph_cancels_between_candidates() -> None:
    resamples = Resamples(0)
    hard = np.random.default_rng(1).uniform(0, 1, 80)
    noise = np.random.default_rng(2).normal(0, 0.01, (2, 80))
    values = {"a": hard + noise[0], "b": hard + noise[1] + 0.02, "c": hard.copy() + noise[0]}
    replicates = {name: mean_replicates(of, resamples) for name, of in values.items()}
    estimates = {name: float(of.mean()) for name, of in values.items()}
    (_, a_high), (b_low, _) = (interval(replicates[name], estimates[name]) for name in "ab")
    assert b_low < a_high, "the intervals overlap widely"
    assert ties(replicates, estimates, "lower") == {"a", "c"}
    assert ties(replicates, estimates, "higher") == {"b"}


def test_ties_go_by_the_figures_and_by_the_way_that_is_better() -> None:
    spread = np.random.default_rng(0).normal(0, 0.02, (3, 200))
    estimates = {"near": 0.47, "far": 0.9, "close": 0.52}
    # What replicates are off in the mean is not held against a candidate.
    replicates = {name: spread[n] + 5 * n for n, name in enumerate(estimates)}
    assert ties(replicates, estimates, "nearer 0.5") == {"near", "close"}
    assert ties(replicates, estimates, "higher") == {"far"}
    assert ties(replicates, estimates, "lower") == {"near", "close"}
    assert ties({"only": spread[0]}, {"only": 1.0}, "lower") == {"only"}


REPLICATES: dict[str, Callable[[Array, Array], Array]] = {
    "fid": lambda a, b: fid_replicates(a, b, Resamples(0, 5)),
    "mmd": lambda a, b: mmd2_replicates(a, b, polynomial, Resamples(0, 5)),
    "1nn": lambda a, b: one_nn_replicates(a, b, Resamples(0, 5), seed=0),
}


@pytest.mark.parametrize("name", REPLICATES)
def test_bad_sets_are_sentences(name: str) -> None:
    with pytest.raises(
        StreamtoonError, match="An interval needs at least 10 images in each set, but one has 9"
    ):
        REPLICATES[name](draw(12), draw(9))
    bad = draw(12)
    bad[3, 1] = np.nan
    with pytest.raises(StreamtoonError, match="image 4 are not finite"):
        REPLICATES[name](bad, draw(12))
    with pytest.raises(ValueError, match="4 and 3 features"):
        REPLICATES[name](draw(12), draw(12, 3))
    assert np.isfinite(REPLICATES[name](draw(10), draw(10, seed=1))).all()
    with pytest.raises(StreamtoonError, match="An interval needs at least 10"):
        mean_replicates(np.zeros(9), Resamples(0))
