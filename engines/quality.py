"""What `auto` takes: the style's own height where the machine holds the source's rate, else half of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from engines.backends import Runner
from engines.working_size import Quality, WorkingSize

SHARE = 0.7
"""Of the time between two pictures, what the generator may take: the rest is for decoder, encoder, filter."""
HOPELESS = 1.5
"""`full` is not even tried when the measurement of `fast` lets it expect more than this times too long."""
RUNS = 3
"""At most, after one that warms up."""
ENOUGH = 0.25
"""Seconds after which no further run is measured."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A quality, its runner, and why."""

    quality: Quality
    runner: Runner
    reason: str


def choose_quality(
    asked: Quality | Literal["auto"],
    rate: Fraction | None,
    size_at: Callable[[Quality], WorkingSize],
    open_at: Callable[[int, int], Runner],
) -> Choice:
    """Opens the runner to use. `rate` is in pictures a second, None where nothing waits for them.

    At most one model is alive at a time, and only the chosen one afterwards.
    """

    def open_kind(kind: Quality) -> Runner:
        size = size_at(kind)
        return open_at(size.padded_height, size.padded_width)

    if asked != "auto":
        return Choice(asked, open_kind(asked), f"{asked} was asked for")
    if rate is None:
        return Choice("full", open_kind("full"), "full, for nothing waits for it")
    fast, full = size_at("fast"), size_at("full")
    runner = open_kind("fast")
    if runner.device != "cpu":
        runner.close()
        return Choice("full", open_kind("full"), f"full, on {runner.device}")
    budget = SHARE / float(rate)
    took = _seconds_per_picture(runner, fast)
    expected = took * (full.padded_height * full.padded_width) / (fast.padded_height * fast.padded_width)
    if expected <= budget * HOPELESS:
        runner.close()
        runner = open_kind("full")
        expected = _seconds_per_picture(runner, full)
        if expected <= budget:
            return Choice("full", runner, f"full: {_cost(expected)} holds {float(rate):.4g} a second")
        runner.close()
        runner = open_kind("fast")
    holds = "which holds" if took <= budget else "too long even so for"
    reason = (
        f"full would take {_cost(expected)}, fast takes {_cost(took)}, {holds} {float(rate):.4g} a second"
    )
    return Choice("fast", runner, f"fast: {reason}")


def _cost(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms a picture"


def _seconds_per_picture(runner: Runner, size: WorkingSize) -> float:
    """The shortest of a few runs after a first that warms up: what other work takes away varies."""
    image = np.full((size.padded_height, size.padded_width, 3), 128, np.uint8)
    runner(image)
    began = time.perf_counter()
    best = float("inf")
    for _ in range(RUNS):
        started = time.perf_counter()
        runner(image)
        ended = time.perf_counter()
        best = min(best, ended - started)
        if ended - began > ENOUGH:
            break
    return best
