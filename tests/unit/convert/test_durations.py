from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from streamtoon.pipeline.latency_histogram import BUCKET_GROWTH, RECENT_COUNT, LatencyHistogram


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95, 0.999, 1.0])
@pytest.mark.parametrize("number", [1, 2, 20, 10_001])
def test_quantiles_are_those_of_all_of_them_to_1_percent(share: float, number: int) -> None:
    values = np.random.default_rng(number).lognormal(3, 1, number)
    found = LatencyHistogram()
    for value in values:
        found.add(value)
    exact = float(np.quantile(values, share, method="inverted_cdf"))
    assert exact * (1 - 1e-9) <= found.quantile(share) <= exact * BUCKET_GROWTH * (1 + 1e-9)


def test_number_mean_longest_and_the_latest_are_exact() -> None:
    values = np.random.default_rng(1).uniform(0, 100, 1000)
    found = LatencyHistogram()
    for value in values:
        found.add(value)
    assert len(found) == 1000
    assert found.mean == pytest.approx(values.mean())
    assert found.quantile(1) == values.max()
    assert found.recent == pytest.approx(values[-RECENT_COUNT:].mean())


def test_without_any_all_is_0() -> None:
    found = LatencyHistogram()
    assert (len(found), found.mean, found.recent, found.quantile(0.5)) == (0, 0, 0, 0)
    found.add(0.0)
    assert (len(found), found.mean, found.quantile(0.5)) == (1, 0, 0)


def test_memory_does_not_grow_with_their_number() -> None:
    found = LatencyHistogram()
    for value in 10 ** np.random.default_rng(2).uniform(-6, 6.5, 100_000):  # a nanosecond to an hour
        found.add(value)
    assert len(found) == 100_000
    kept = [value for value in vars(found).values() if hasattr(value, "__len__")]
    assert sum(map(len, kept)) < 2500


def _add_often(histogram: LatencyHistogram, value: int) -> None:
    for _ in range(2000):
        histogram.add(value)


def test_none_is_lost_between_threads() -> None:
    found = LatencyHistogram()
    with ThreadPoolExecutor(4) as pool:
        for n in range(8):
            pool.submit(_add_often, found, n % 7 + 1)
        assert 0 <= found.recent <= 7
    assert len(found) == 16_000
    assert found.mean == pytest.approx(np.mean([n % 7 + 1 for n in range(8)]))
