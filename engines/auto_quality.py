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

from engines.backends.base import Runner
from engines.common.cpu import cores
from engines.imaging.working_size import BlockSize, WorkingSize
from engines.spec import Quality

FRAME_TIME_SHARE = 0.95
"""Of the time between two pictures, what all work together may take: the rest evens out slow ones."""
FILTER_S_PER_PIXEL = 26e-9
"""Seconds that colour and guided filter take for every pixel that the generator sees, measured: 6 ms for
640x360 of 1280x720, 25 for all of it."""
CODEC_S_PER_PIXEL = 14e-9
"""Seconds of one core that decoder and encoder take for every pixel of a picture, measured at 1280x720:
H.264 2 ms, libx264 as it is set up 10. An estimate: who reads and writes the pictures is unknown here."""
MAX_SLOWDOWN = 1.25
"""Where nothing holds the rate, a better quality may take this times as long as the fastest: the frames that
this costs are hardly missed, the lines are."""
FULL_RETRY_FACTOR = 1.5
"""`full` is not even tried when the measurement of `fast` lets it expect more than this times too long."""
LOOK_S_PER_PIXEL = 6e-9
"""Seconds that blocks and a look take for every pixel of a picture that is drawn by fields, measured: 5 ms
for 1280x720, of which the look `comic` takes 2.5."""
LARGE_NETWORK_FACTOR = 2.0
"""Time of the large network of fields over that of the small one, measured with AMX; elsewhere it is more."""
MAX_RUNS = 3
"""At most, after one that warms up."""
MEASURE_TIME_S = 0.25
"""Seconds after which no further run is measured."""


@dataclass(frozen=True, slots=True)
class QualityChoice:
    """A quality, its runner, and why."""

    quality: Quality
    runner: Runner
    reason: str
    too_slow: bool = False
    """Whether `auto` has found that nothing holds the rate."""


def choose_quality(
    asked: Quality | Literal["auto"],
    rate: Fraction | None,
    size_at: Callable[[Quality], WorkingSize],
    open_kind: Callable[[Quality], Runner],
    *,
    has_lite: bool,
) -> QualityChoice:
    """Opens the runner to use. `rate` is in pictures a second, None where nothing waits for them.

    `auto` takes `full`, else `fast`, else `lite` where `has_lite`; where none of them holds the rate, the
    best that comes `MAX_SLOWDOWN` the pace of the fastest. At most one model is alive at a time, and only the
    chosen one afterwards.
    """
    if asked != "auto":
        return QualityChoice(asked, open_kind(asked), f"{asked} was asked for")
    if rate is None:
        return QualityChoice("full", open_kind("full"), "full, for nothing waits for it")
    fast, full = size_at("fast"), size_at("full")
    runner = open_kind("fast")
    if runner.device != "cpu":
        runner.close()
        return QualityChoice("full", open_kind("full"), f"full, on {runner.device}")
    left: dict[Quality, float] = {
        "full": time_left(rate, full, runner.concurrency),
        "fast": time_left(rate, fast, runner.concurrency),
    }
    took: dict[Quality, float] = {"fast": _seconds_per_frame(runner, fast)}
    expected = (
        took["fast"] * (full.padded_height * full.padded_width) / (fast.padded_height * fast.padded_width)
    )
    if isinstance(full, BlockSize):
        expected *= LARGE_NETWORK_FACTOR
    if expected <= left["full"] * FULL_RETRY_FACTOR:
        runner.close()
        runner = open_kind("full")
        expected = _seconds_per_frame(runner, full)
        if expected <= left["full"]:
            return QualityChoice(
                "full", runner, f"full: {_cost(expected)}, {_verdict(expected, left['full'], rate)}"
            )
        runner.close()
        runner = open_kind("fast")
    took = {"full": expected, **took}
    kind: Quality = "fast"
    if took["fast"] > left["fast"] and has_lite:
        kind = "lite"
        runner.close()
        runner = open_kind("lite")
        lite = size_at("lite")
        took["lite"] = _seconds_per_frame(runner, lite)
        left["lite"] = time_left(rate, lite, runner.concurrency)
    too_slow = took[kind] > left[kind]
    if too_slow:
        best = _near(took, left, rate, kind)
        if best != kind:
            kind = best
            runner.close()
            runner = open_kind(kind)
    tried = ", ".join(f"{other} would take {_cost(spent)}" for other, spent in took.items() if other != kind)
    reason = f"{kind}: {tried}, {kind} takes {_cost(took[kind])}, {_verdict(took[kind], left[kind], rate)}"
    return QualityChoice(kind, runner, reason, too_slow)


def _near(
    took: dict[Quality, float], left: dict[Quality, float], rate: Fraction, fastest: Quality
) -> Quality:
    """The best of the qualities, which `took` has from the best on, that is hardly slower than `fastest`."""

    def whole(kind: Quality) -> float:
        """Seconds of a picture, with what works around the generator."""
        return took[kind] + FRAME_TIME_SHARE / float(rate) - left[kind]

    return next(kind for kind in took if whole(kind) <= MAX_SLOWDOWN * whole(fastest))


def time_left(rate: Fraction, size: WorkingSize, concurrency: int = 1) -> float:
    """Seconds that the generator may take for a picture of that size; not above 0 where there are none."""
    if isinstance(size, BlockSize):
        around = LOOK_S_PER_PIXEL * size.height * size.width
    else:
        around = FILTER_S_PER_PIXEL * size.small_height * size.small_width
    beside = CODEC_S_PER_PIXEL * size.height * size.width
    return FRAME_TIME_SHARE / float(rate) - max(around / concurrency, (around + beside) / cores())


def _cost(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms a frame"


def _verdict(seconds: float, left: float, rate: Fraction) -> str:
    """How that compares with what there is."""
    pace = f"{float(rate):.4g} a second"
    if left <= 0:
        return f"and at {pace} everything around it leaves no time for it"
    held = "which keeps up with" if seconds <= left else "too slow even so for"
    return f"{held} {pace} (at most {_cost(left)})"


def _seconds_per_frame(runner: Runner, size: WorkingSize) -> float:
    """The shortest of a few runs after a first that warms up: what other work takes away varies.

    Of a runner that draws several at a time, the time of so many by their number.
    """
    image = np.full(size.given, 128, np.uint8)
    images = [image] * runner.concurrency
    with ThreadPoolExecutor(len(images)) as threads:

        def run() -> float:
            started = time.perf_counter()
            for _ in threads.map(runner, images):
                pass
            return (time.perf_counter() - started) / len(images)

        run()
        began = time.perf_counter()
        best = run()
        for _ in range(MAX_RUNS - 1):
            if time.perf_counter() - began > MEASURE_TIME_S:
                break
            best = min(best, run())
    return best
