"""How long calls take, in turns, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one call, over its measured runs."""

    median_ms: float
    p95_ms: float
    """Of twenty runs, one took longer; interpolated between the runs there are."""
    spread: float
    """Interquartile range over the median: above some 0.1 the machine was busy with other things."""
    count: int
    """Runs measured."""


def time_calls(
    calls: Mapping[str, Callable[[], object]],
    *,
    seconds: float = 2.0,
    runs: int = 3,
    warm: int = 1,
    tick: Callable[[float], object] | None = None,
) -> dict[str, Timing]:
    """Times every call in turns, after each has run `warm` times unmeasured.

    A call is done when it has had `seconds` and `runs` at least, so slow ones run a few times and fast ones
    often. Whichever is furthest from done is next: all advance at one pace, a slow one's few runs are spread
    over the whole time, and calls of one speed alternate. Each must return only when its work is done, which
    on a GPU takes a synchronization. `tick` is told the share of the work done, 0 to 1.

    Raises ValueError when there is no call or a number that cannot be; what a call raises goes through.
    """
    if not calls or not seconds >= 0 or runs < 1 or warm < 0:
        raise ValueError(f"{len(calls)} calls, seconds={seconds}, runs={runs}, warm={warm}: expected more")
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
