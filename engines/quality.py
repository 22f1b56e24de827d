"""What `auto` takes: the best quality that holds the source's rate, measured on this machine.

The generator is not alone with the time between two pictures. Colour and guided filter come before and after
it; decoder and encoder work beside it, but a CPU's cores are shared by all, and the generator keeps every one
of them busy while it runs. So it may take what is left of that time by the account of the cores, and where
pictures are drawn one after the other, by that of the thread as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from engines.backends import Runner
from engines.cores import cores
from engines.working_size import Quality, WorkingSize

SHARE = 0.95
"""Of the time between two pictures, what all work together may take: the rest evens out slow ones."""
AROUND = 26e-9
"""Seconds that colour and guided filter take for every pixel that the generator sees, measured: 6 ms for
640x360 of 1280x720, 25 for all of it."""
BESIDE = 14e-9
"""Seconds of one core that decoder and encoder take for every pixel of a picture, measured at 1280x720:
H.264 2 ms, libx264 as it is set up 10. An estimate: who reads and writes the pictures is unknown here."""
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
    open_kind: Callable[[Quality], Runner],
    *,
    has_lite: bool,
) -> Choice:
    """Opens the runner to use. `rate` is in pictures a second, None where nothing waits for them.

    `auto` takes `full`, else `fast`, else `lite` where `has_lite`; the last of them also where none holds
    the rate. At most one model is alive at a time, and only the chosen one afterwards.
    """
    if asked != "auto":
        return Choice(asked, open_kind(asked), f"{asked} was asked for")
    if rate is None:
        return Choice("full", open_kind("full"), "full, for nothing waits for it")
    fast, full = size_at("fast"), size_at("full")
    runner = open_kind("fast")
    if runner.device != "cpu":
        runner.close()
        return Choice("full", open_kind("full"), f"full, on {runner.device}")
    left, left_full = (time_left(rate, size, runner.at_a_time) for size in (fast, full))
    took = _seconds_per_picture(runner, fast)
    expected = took * (full.padded_height * full.padded_width) / (fast.padded_height * fast.padded_width)
    if expected <= left_full * HOPELESS:
        runner.close()
        runner = open_kind("full")
        expected = _seconds_per_picture(runner, full)
        if expected <= left_full:
            return Choice("full", runner, f"full: {_cost(expected)}, {_verdict(expected, left_full, rate)}")
        runner.close()
        runner = open_kind("fast")
    kind: Quality = "fast"
    tried = f"full would take {_cost(expected)}"
    if took > left and has_lite:
        kind, tried = "lite", f"{tried}, fast {_cost(took)}"
        runner.close()
        runner = open_kind("lite")
        lite = size_at("lite")
        took, left = _seconds_per_picture(runner, lite), time_left(rate, lite, runner.at_a_time)
    reason = f"{kind}: {tried}, {kind} takes {_cost(took)}, {_verdict(took, left, rate)}"
    return Choice(kind, runner, reason)


def time_left(rate: Fraction, size: WorkingSize, at_a_time: int = 1) -> float:
    """Seconds that the generator may take for a picture of that size; not above 0 where there are none."""
    around = AROUND * size.padded_height * size.padded_width
    beside = BESIDE * size.height * size.width
    return SHARE / float(rate) - max(around / at_a_time, (around + beside) / cores())


def _cost(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms a picture"


def _verdict(seconds: float, left: float, rate: Fraction) -> str:
    """How that compares with what there is."""
    pace = f"{float(rate):.4g} a second"
    if left <= 0:
        return f"and at {pace} everything around it leaves no time for it"
    held = "which keeps up with" if seconds <= left else "too slow even so for"
    return f"{held} {pace} (at most {_cost(left)})"


def _seconds_per_picture(runner: Runner, size: WorkingSize) -> float:
    """The shortest of a few runs after a first that warms up: what other work takes away varies.

    Of a runner that draws several at a time, the time of so many by their number.
    """
    image = np.full((size.padded_height, size.padded_width, 3), 128, np.uint8)
    images = [image] * runner.at_a_time
    with ThreadPoolExecutor(len(images)) as threads:

        def run() -> float:
            started = time.perf_counter()
            for _ in threads.map(runner, images):
                pass
            return (time.perf_counter() - started) / len(images)

        run()
        began = time.perf_counter()
        best = run()
        for _ in range(RUNS - 1):
            if time.perf_counter() - began > ENOUGH:
                break
            best = min(best, run())
    return best
