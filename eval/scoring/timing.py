"""Time calls in turns, so that other load on the machine affects all of them equally."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Timing:
    """The statistics of one call over its timed runs."""

    median_ms: float
    p95_ms: float
    """95 % of the runs were faster; interpolated between runs."""
    spread: float
    """Interquartile range divided by the median. Above about 0.1, the machine was busy with other work."""
    count: int
    """The number of timed runs."""


def time_calls(
    calls: Mapping[str, Callable[[], object]],
    *,
    seconds: float = 2.0,
    runs: int = 3,
    warm: int = 1,
    tick: Callable[[float], object] | None = None,
) -> dict[str, Timing]:
    """Time every call in turns, after `warm` runs of each that are not timed.

    A call is complete when it had at least `seconds` and `runs`. Slow calls thus run a few times and fast
    ones often. The least complete call is always next: all advance together, the few runs of a slow call
    spread over the whole time, and calls of equal speed alternate.

    Args:
        calls: Name -> call. A call must return only when its work is done, which on a GPU takes a
            synchronization.
        seconds: Time for each call.
        runs: The least number of timed runs of each call.
        warm: Runs of each call before timing starts.
        tick: Called with the share that is done, 0 to 1.

    Returns:
        Name -> statistics.

    Raises:
        ValueError: There is no call, or a number is out of range. Exceptions of the calls pass through.
    """
    if not calls or not seconds >= 0 or runs < 1 or warm < 0:
        raise ValueError(
            f"{len(calls)} calls, seconds={seconds}, runs={runs}, warm={warm}: expected larger numbers"
        )
    for call in calls.values():
        for _ in range(warm):
            call()
    took: dict[str, list[float]] = {name: [] for name in calls}

    def done(name: str) -> float:
        spent = sum(took[name]) / seconds if seconds else 1.0
        return min(1.0, spent, len(took[name]) / runs)

    while (name := min(calls, key=done)) and done(name) < 1:
        began = time.perf_counter()
        calls[name]()
        took[name].append(time.perf_counter() - began)
        if tick:
            tick(sum(map(done, calls)) / len(calls))
    return {name: _timing(runs_of) for name, runs_of in took.items()}


def _timing(seconds: list[float]) -> Timing:
    low, median, high, p95 = np.percentile(seconds, (25, 50, 75, 95))
    spread = float((high - low) / median) if median else 0.0
    return Timing(1000 * float(median), 1000 * float(p95), spread, len(seconds))
