"""Estimate how long a finished conversion would have taken in another quality, from a few frames."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction

import numpy as np

from engines.engine import Engine
from engines.errors import StreamtoonError
from engines.frame import Frame
from streamtoon.convert.video import Converted
from streamtoon.engine_holder import EngineHolder
from streamtoon.reports import Alternative

MIN_CONVERSION_S = 8.0
"""Minimum length of a conversion in seconds. Savings on shorter ones do not matter."""
MAX_OPENING_SHARE = 1 / 10
"""Maximum share of the conversion's time that opening the engine took. Another engine takes as long to open.
"""
MAX_TIMING_S = 0.15
"""Seconds after which no further frames are timed."""
MAX_TIME_SHARE = 0.8
"""Maximum share of the conversion's time at which a lower quality is worth suggesting."""


def estimate_alternative(holder: EngineHolder, seconds: float, done: Converted) -> Alternative | None:
    """Compare a finished conversion with another quality: `full` with `fast`, any other with `full`.

    On a CPU all stages share the cores. So the time that the engine saves is saved in total, until the
    decoder or the encoder is the slowest stage.

    Args:
        holder: Has the open engine that rendered the conversion.
        seconds: Seconds that the whole conversion took.
        done: The conversion.

    Returns:
        The estimate, or None if it is not worth showing or cannot be measured quickly.
    """
    engine, request = holder.engine, holder.request
    if engine is None or request is None or done.kept:
        return None
    facts, outcome = engine.facts, done.outcome
    if facts.device != "cpu" or facts.fallback or facts.quality == "custom" or not engine.strength:
        return None
    if seconds < MIN_CONVERSION_S or holder.opening_s > MAX_OPENING_SHARE * seconds:
        return None
    quality = "fast" if facts.quality == "full" else "full"
    frames = _noise(request.width, request.height)
    now = _seconds_a_frame(engine, frames)
    settings = request.settings.replace(backend=facts.backend, device=facts.device, quality=quality)
    try:
        with replace(request, settings=settings).open() as other:
            then = _seconds_a_frame(other, frames)
    except StreamtoonError:  # the style has no such form in this precision, or memory is short
        return None
    finally:
        engine.stabilizer.reset()
    others = max(outcome.stages["decode"].mean_ms, outcome.stages["encode"].mean_ms) / 1000
    drawn = outcome.frames_out - done.reused
    about = max(seconds - (now - then) * drawn, others * outcome.frames_out, then * drawn)
    if quality == "fast" and about > MAX_TIME_SHARE * seconds:
        return None
    return Alternative(quality, round(about, 1))


def _noise(width: int, height: int) -> list[Frame]:
    """Return two different frames of noise. Two, because a frame equal to the last is not rendered."""
    dice = np.random.default_rng(0)
    chroma = ((height + 1) // 2, (width + 1) // 2)
    frames = []
    for number in range(2):
        y, u, v = (dice.integers(0, 256, shape, np.uint8) for shape in ((height, width), chroma, chroma))
        frames.append(Frame(y, u, v, pts=number, time_base=Fraction(1, 25)))
    return frames


def _seconds_a_frame(engine: Engine, frames: Sequence[Frame]) -> float:
    """Return the shortest seconds per frame of a few rounds, after a warm-up round.

    Each round has as many frames as the engine renders concurrently, at least two.
    """
    count = max(len(frames), engine.concurrency)
    least = float("inf")
    with ThreadPoolExecutor(engine.concurrency) as threads:
        began = time.perf_counter()
        for number in range(4):
            started = time.perf_counter()
            pending = [engine.submit(frames[n % len(frames)]) for n in range(count)]
            for frame, computed in [(frame, threads.submit(frame.compute)) for frame in pending]:
                computed.result()
                frame.result()
            ended = time.perf_counter()
            if number:
                least = min(least, (ended - started) / count)
                if ended - began > MAX_TIMING_S:
                    break
    return least
