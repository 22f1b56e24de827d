"""Nearest neighbours against plain loops, scipy and permuted labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from eval.metrics.one_nn import OneNN, one_nn

Array = NDArray[np.float64]


def draw(count: int, width: int = 6, seed: int = 0, shift: float = 0.0) -> Array:
    return np.random.default_rng(seed).normal(shift, 1, (count, width))


def one_nn_by_loops(real: Array, fake: Array) -> OneNN:
    everyone = [(x, 0) for x in real] + [(x, 1) for x in fake]
    hits = []
    for i, (x, label) in enumerate(everyone):
        others = [(math.dist(x, y), theirs) for j, (y, theirs) in enumerate(everyone) if i != j]
        nearest = min(distance for distance, _ in others)
        tied = [theirs == label for distance, theirs in others if distance == nearest]
        hits.append(sum(tied) / len(tied))
    n = len(real)
    return OneNN(sum(hits) / (2 * n), sum(hits[:n]) / n, sum(hits[n:]) / n)


def test_one_nn_is_the_double_loop() -> None:
    a, b = draw(25, 3, 1), draw(25, 3, 2, 0.7)
    assert one_nn(a, b, seed=0) == pytest.approx(one_nn_by_loops(a, b), abs=1e-12)
    # Whole numbers tie often, and far from 0 only up to rounding.
    grid = np.random.default_rng(3).integers(0, 3, (40, 3)).astype(np.float64)
    expected = one_nn_by_loops(grid[:20], grid[20:])
    assert one_nn(grid[:20], grid[20:], seed=0) == pytest.approx(expected, abs=1e-12)
    assert one_nn(grid[:20] + 777, grid[20:] + 777, seed=0) == pytest.approx(expected, abs=1e-12)


def test_one_nn_over_many_blocks_agrees_with_scipy() -> None:
    a, b = draw(1300, 3, 1), draw(1300, 3, 2, 0.5)
    z = np.concatenate([a, b])
    distances = cdist(z, z)
    np.fill_diagonal(distances, np.inf)
    hits = (distances.argmin(1) >= 1300) == (np.arange(2600) >= 1300)
    expected = OneNN(hits.mean(), hits[:1300].mean(), hits[1300:].mean())
    assert one_nn(a, b, seed=0) == pytest.approx(expected, abs=1e-12)


def test_one_nn_of_permuted_labels_is_near_one_half() -> None:
    # Under random labels one of the 2 n - 1 others is of the same set n - 1 times.
    n, z = 30, np.concatenate([draw(30, 5, 1), draw(30, 5, 2, 2.0)])
    generator = np.random.default_rng(0)
    values = []
    for _ in range(400):
        shuffled = z[generator.permutation(2 * n)]
        values.append(one_nn(shuffled[:n], shuffled[n:], seed=0).accuracy)
    assert abs(np.mean(values) - (n - 1) / (2 * n - 1)) < 4 * np.std(values) / 20
    assert one_nn(z[:n], z[n:], seed=0).accuracy > np.quantile(values, 0.99)


def test_one_nn_of_identical_sets_is_zero_and_copies_share_the_vote() -> None:
    a = draw(20, 200, 1).astype(np.float32)
    assert one_nn(a, a.copy(), seed=0) == OneNN(0, 0, 0)
    # Each picture twice in both sets: of three equals one is of its own set.
    twice = np.concatenate([a, a])
    assert one_nn(twice, twice, seed=0) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert one_nn(a, a + 100, seed=0) == OneNN(1, 1, 1)


def test_one_nn_depends_neither_on_which_set_is_which_nor_on_the_order() -> None:
    grid = np.random.default_rng(3).integers(0, 3, (40, 3)).astype(np.float64)
    accuracy, real, fake = one_nn(grid[:20], grid[20:], seed=0)
    assert one_nn(grid[20:], grid[:20], seed=0) == pytest.approx((accuracy, fake, real), abs=1e-12)
    assert one_nn(grid[:20][::-1], grid[20:], seed=0) == pytest.approx((accuracy, real, fake), abs=1e-12)


def test_one_nn_samples_the_larger_set_down() -> None:
    a, b = draw(200, 3, 1), draw(20, 3, 2)
    assert one_nn(a, b, seed=4) == one_nn(a, b, seed=4)
    assert len({one_nn(a, b, seed=seed).accuracy for seed in range(5)}) > 1
    # All of 200 real ones around 20 fakes would be hits nearly always.
    assert one_nn(a, b, seed=4).real < 0.8
