"""Calls timed in turns over several stages of a run, and whether the machine was quiet enough to tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np

from eval.bench.results import Latency
from eval.scoring.timing import time_calls

NOISY_SPREAD = 0.15
"""Interquartile range over the median above which a figure says more about the machine's other work."""


IDLE_TIMEOUT_S, IDLE_POLL_S = 2.0, 0.03
"""Seconds: the longest wait for threads to come to rest, and between two looks at them."""
IDLE_CORE_SHARE = 0.1
"""Of one core, below which a process is at rest."""


class InterleavedTimer:
    """Keeps the time of every call by name, across the stages in which the call takes part.

    What a call leaves behind, such as threads that go on spinning, is waited for and counts for nobody.
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
        """As `eval.scoring.timing.time_calls`, which sets the order; what the `restless` leave is waited
        for.
        """
        for call in calls.values():
            for _ in range(warm):
                call()
        watched = {name: self._watched(name, call, name in restless) for name, call in calls.items()}
        time_calls(watched, seconds=seconds, runs=runs, warm=0, tick=tick)

    def latency(self, name: str) -> Latency:
        """Of all runs of a call. Raises KeyError for one that never ran."""
        return latency(self.took[name])

    def fastest(self, name: str) -> float:
        """Seconds of the shortest run."""
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
    """Waits until no thread of this process computes, for `IDLE_TIMEOUT_S` at most.

    ONNX Runtime's threads go on spinning when their work is done, and would slow down whoever comes next.
    """
    until, quiet = time.perf_counter() + IDLE_TIMEOUT_S, 0
    # Two looks: a thread that the system leaves waiting for once seems to be at rest.
    while quiet < 2 and time.perf_counter() < until:
        began, spent = time.perf_counter(), time.process_time()
        time.sleep(IDLE_POLL_S)
        at_rest = time.process_time() - spent < IDLE_CORE_SHARE * (time.perf_counter() - began)
        quiet = quiet + 1 if at_rest else 0


def latency(seconds: Sequence[float]) -> Latency:
    """Median, 95th percentile and spread of runs, in milliseconds."""
    low, median, high, p95 = (float(value) for value in np.percentile(seconds, (25, 50, 75, 95)))
    return Latency(round(1000 * median, 3), round(1000 * p95, 3), round(_ratio(high - low, median), 3))


def spread(values: Sequence[float]) -> float:
    """Interquartile range over the median; 0 of a single value."""
    low, median, high = (float(value) for value in np.percentile(values, (25, 50, 75)))
    return round(_ratio(high - low, median), 3)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def noise_sentence(spreads: Mapping[str, float], rows: Iterable[bool]) -> str:
    """What to say of a machine that did other things meanwhile; empty where it was quiet.

    `spreads` are those of sums that should always take the same time, by what they are called; `rows` says
    of each row whether it was noisy. The machine is too noisy when a sum was, or more than half of the rows.
    """
    restless = {name: value for name, value in spreads.items() if value > NOISY_SPREAD}
    noisy = list(rows)
    if restless:
        name, worst = max(restless.items(), key=lambda item: item[1])
        found = f"the time of one and the same sum ({name}) varied by {100 * worst:.0f} %"
    elif noisy and 2 * sum(noisy) > len(noisy):
        found = f"{sum(noisy)} of {len(noisy)} rows varied by more than {100 * NOISY_SPREAD:.0f} %"
    else:
        return ""
    return (
        f"the machine was too noisy to tell: {found} (interquartile range); repeat it when nothing else runs"
    )
