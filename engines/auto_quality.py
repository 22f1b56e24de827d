"""Choosing the quality for `auto`: the best that keeps up with the video's rate, as measured on this machine.

The generator does not have the whole time between two frames. Colour conversion and guided filter run before
and after it. Decoder and encoder run concurrently, but share the CPU's cores, all of which the generator
uses. It may therefore take the time that is left per core, and if frames are rendered one after another, also
what is left in its thread.
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
"""Share of the time between two frames that all work together may take; the rest absorbs slow frames."""
FILTER_S_PER_PIXEL = 26e-9
"""Time of colour conversion and guided filter per pixel of the generator's input, measured: 6 ms for 640x360
of 1280x720, 25 ms for all of it."""
CODEC_S_PER_PIXEL = 14e-9
"""Time of one core for decoder and encoder per pixel of a frame, measured at 1280x720: H.264 decoding 2 ms,
libx264 as configured 10 ms. This is an estimate, because the codecs of the caller are unknown here."""
MAX_SLOWDOWN = 1.25
"""If no quality keeps up, a better one may take this many times as long as the fastest: the lost frames
matter less than the lost lines."""
FULL_RETRY_FACTOR = 1.5
"""`full` is not tried if it is expected, from the time of `fast`, to exceed the limit by more than this
factor."""
LOOK_S_PER_PIXEL = 9e-9
"""Time of packing, temporal filter and look per pixel of a drawing, measured on an AMD EPYC with AVX-512: 8.1
ms for 1280x720, of which the look `comic` takes 5.8 ms."""
LARGE_NETWORK_FACTOR = 3.5
"""Time of the large network of fields relative to the small one, measured with AMX; more without it."""
MAX_RUNS = 3
"""Most timed runs, after one to warm up."""
MEASURE_TIME_S = 0.25
"""No further run starts after this time."""


@dataclass(frozen=True, slots=True)
class QualityChoice:
    """A quality, its runner, and the reason for the choice."""

    quality: Quality
    runner: Runner
    reason: str
    too_slow: bool = False
    """Whether `auto` found that no quality keeps up with the rate."""


def choose_quality(
    asked: Quality | Literal["auto"],
    rate: Fraction | None,
    size_at: Callable[[Quality], WorkingSize],
    open_kind: Callable[[Quality], Runner],
    *,
    has_lite: bool,
) -> QualityChoice:
    """Choose the quality and open its runner.

    `auto` uses `full`, else `fast`, else `lite`. If none keeps up with `rate`, it uses the best that takes at
    most `MAX_SLOWDOWN` times as long as the fastest. At most one model is open at a time, and only the chosen
    one afterwards.

    Args:
        asked: The requested quality.
        rate: Frames per second to keep up with; None if nothing waits for the frames.
        size_at: Returns the working size of a quality.
        open_kind: Opens the runner of a quality.
        has_lite: Whether `auto` may use `lite`.
    """
    if asked != "auto":
        return QualityChoice(asked, open_kind(asked), f"{asked} was requested")
    if rate is None:
        return QualityChoice(
            "full", open_kind("full"), "full, because there is no frame rate to keep up with"
        )
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
    """Return the best quality that takes hardly longer than `fastest`; `took` is ordered from the best."""

    def whole(kind: Quality) -> float:
        """Return the time of a frame, including the work around the generator, seconds."""
        return took[kind] + FRAME_TIME_SHARE / float(rate) - left[kind]

    return next(kind for kind in took if whole(kind) <= MAX_SLOWDOWN * whole(fastest))


def time_left(rate: Fraction, size: WorkingSize, concurrency: int = 1) -> float:
    """Return how long the generator may take for a frame of that size, seconds; 0 or less for no time."""
    if isinstance(size, BlockSize):
        around = LOOK_S_PER_PIXEL * size.drawn_height * size.drawn_width
    else:
        around = FILTER_S_PER_PIXEL * size.working_height * size.working_width
    beside = CODEC_S_PER_PIXEL * size.height * size.width
    return FRAME_TIME_SHARE / float(rate) - max(around / concurrency, (around + beside) / cores())


def _cost(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms per frame"


def _verdict(seconds: float, left: float, rate: Fraction) -> str:
    """Describe whether a time keeps up with the rate."""
    pace = f"{float(rate):.4g} fps"
    if left <= 0:
        return f"but at {pace} the work around it leaves no time for it"
    held = "which keeps up with" if seconds <= left else "still too slow for"
    return f"{held} {pace} (at most {_cost(left)})"


def _seconds_per_frame(runner: Runner, size: WorkingSize) -> float:
    """Return the shortest time per frame of a few runs after a warm-up; other load only makes it longer.

    A runner with concurrency is timed with that many frames at once.
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
