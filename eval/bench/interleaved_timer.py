"""Time several calls in turns over the stages of a run, and judge whether the machine was quiet enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

from eval.bench.results import Latency
from eval.scoring.timing import time_calls

NOISY_SPREAD = 0.15
"""A figure with a larger ratio of interquartile range to median is noisy: other processes disturbed it."""


IDLE_TIMEOUT_S, IDLE_POLL_S = 2.0, 0.03
"""Seconds: the longest wait for threads to become idle, and the interval between two checks."""
IDLE_CORE_SHARE = 0.1
"""A process that uses less than this share of one core is idle."""


class InterleavedTimer:
    """Keeps the time of every call by name, across the stages in which the call takes part.

    Before the next call starts, the timer waits for threads that the last call left busy. That wait is not
    counted.
    """

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = {}
        """Name -> seconds of each run."""

    def run(
        self,
        calls: Mapping[str, Callable[[], object]],
        *,
        seconds: float,
        runs: int,
        warm: int = 1,
        restless: Collection[str] = (),
        tick: Callable[[float], object] | None = None,
    ) -> None:
        """Time the calls in the order of `eval.scoring.timing.time_calls`.

        Args:
            calls: Name -> the call to time.
            seconds: Time to spend on each call.
            runs: The least number of runs of each call.
            warm: The number of runs of each call before timing starts.
            restless: Names of calls that leave threads busy. The timer waits until they are idle.
            tick: Called with the share that is done, 0 to 1.
        """
        for call in calls.values():
            for _ in range(warm):
                call()
        watched = {name: self._watched(name, call, name in restless) for name, call in calls.items()}
        time_calls(watched, seconds=seconds, runs=runs, warm=0, tick=tick)

    def latency(self, name: str) -> Latency:
        """Return the statistics of all runs of a call. Raises KeyError if it never ran."""
        return latency(self.took[name])

    def fastest(self, name: str) -> float:
        """Return the seconds of the shortest run."""
        return min(self.took[name])

    def _watched(self, name: str, call: Callable[[], object], restless: bool) -> Callable[[], object]:
        took = self.took.setdefault(name, [])

        def run() -> None:
            began = time.perf_counter()
            call()
            took.append(time.perf_counter() - began)
            if restless:
                wait_until_idle()

        return run


def wait_until_idle() -> None:
    """Wait until no thread of this process computes, for `IDLE_TIMEOUT_S` seconds at most.

    ONNX Runtime's threads keep spinning after their work is done and would slow down the next call.
    """
    until, quiet = time.perf_counter() + IDLE_TIMEOUT_S, 0
    # Two checks: a thread that the system briefly suspends looks idle once.
    while quiet < 2 and time.perf_counter() < until:
        began, spent = time.perf_counter(), time.process_time()
        time.sleep(IDLE_POLL_S)
        at_rest = time.process_time() - spent < IDLE_CORE_SHARE * (time.perf_counter() - began)
        quiet = quiet + 1 if at_rest else 0


def latency(seconds: Sequence[float]) -> Latency:
    """Return the median, 95th percentile and spread of runs. The input is in seconds, the result in
    milliseconds.
    """
    low, median, high, p95 = (float(value) for value in np.percentile(seconds, (25, 50, 75, 95)))
    return Latency(round(1000 * median, 3), round(1000 * p95, 3), round(_ratio(high - low, median), 3))


def spread(values: Sequence[float]) -> float:
    """Return the interquartile range divided by the median. It is 0 for a single value."""
    low, median, high = (float(value) for value in np.percentile(values, (25, 50, 75)))
    return round(_ratio(high - low, median), 3)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def noise_sentence(spreads: Mapping[str, float], rows: Iterable[bool]) -> str:
    """Return a sentence that says why the machine was too noisy, or "" if it was quiet.

    `spreads` maps the names of calculations that should always take the same time to their spreads. `rows`
    says for each row whether it was noisy. The machine is too noisy if one of the calculations was, or more
    than half of the rows.
    """
    restless = {name: value for name, value in spreads.items() if value > NOISY_SPREAD}
    noisy = list(rows)
    if restless:
        name, worst = max(restless.items(), key=lambda item: item[1])
        found = f"the time of an unchanged calculation ({name}) varied by {100 * worst:.0f} %"
    elif noisy and 2 * sum(noisy) > len(noisy):
        found = f"{sum(noisy)} of {len(noisy)} rows varied by more than {100 * NOISY_SPREAD:.0f} %"
    else:
        return ""
    return (
        f"the machine was too busy for reliable times: {found} (interquartile range); stop "
        "other programs and run this again"
    )
