"""Estimates during a conversion: the size of the output, and the frames left after a stop request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from engines.frame import Frame
from streamtoon.media import VideoReader
from streamtoon.media.segments import segments as parts
from streamtoon.media.segments.segments import SegmentBoundary
from streamtoon.pipeline.run import Progress

OnProgress = Callable[[Progress], object]
Item = TypeVar("Item", bound=Frame | SegmentBoundary)
MIN_CODED_FRAMES = 24
"""Coded frames needed for a size estimate. The first frame is much larger than those after it."""
PROGRESS_INTERVAL_S = 0.1
"""Seconds between two progress reports while the output is joined."""


class Countdown:
    """Counts the frames to be written until the current segment is complete."""

    def __init__(self, kept: int) -> None:
        """Start with `kept` frames in finished segments."""
        self._given = self._begun = kept
        self._ended = False

    def watch(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items of `in_parts` unchanged. Call it from one thread only."""
        for item in items:
            if isinstance(item, SegmentBoundary):
                self._begun = self._given
            else:
                self._given += 1
            yield item
        self._ended = True

    def left(self, written: int) -> int:
        """Return an upper bound for the frames left, of which `written` are written in total so far.

        The end of a segment is known only when it has been read.
        """
        end = self._given if self._ended else self._begun + parts.MAX_SEGMENT_FRAMES
        return max(0, end - written)


def with_estimates(
    on_progress: OnProgress | None,
    coded: Callable[[], tuple[int, float]],
    *,
    beside: float = 0.0,
    stop: threading.Event | None = None,
    countdown: Countdown | None = None,
) -> OnProgress | None:
    """Wrap `on_progress` to add the estimated size and, after a stop request, the frames left.

    Args:
        on_progress: The callback to wrap. None returns None.
        coded: Returns the number of coded frames so far and their bytes.
        beside: Bytes of everything else in the file.
        stop: Set when a stop was requested.
        countdown: Counts the frames left in the current segment.
    """
    if on_progress is None:
        return None

    def tell(progress: Progress) -> None:
        frames, size = coded()
        foreseen, left = None, None
        if progress.total is not None and min(frames, progress.total) >= MIN_CODED_FRAMES:
            foreseen = beside + size / frames * max(progress.total, progress.frames)
        if stop is not None and countdown is not None and stop.is_set():
            left = countdown.left(progress.frames)
            if progress.total is not None:
                left = min(left, max(0, progress.total - progress.frames))
        on_progress(replace(progress, size=foreseen, stopping=left))

    return tell


def joining_progress(on_progress: OnProgress | None, total: int) -> Callable[[int], None]:
    """Return a callback that reports how many of `total` frames have been joined."""
    began = latest = time.perf_counter()

    def tell(frames: int) -> None:
        nonlocal latest
        now = time.perf_counter()
        if on_progress is None or (now - latest < PROGRESS_INTERVAL_S and frames not in (1, total)):
            return
        latest, seconds = now, now - began
        on_progress(Progress(frames, total, seconds, frames / max(seconds, 1e-9), {}, joining=True))

    return tell


def copied_audio_bytes(source: VideoReader) -> float:
    """Estimate the bytes of the copied audio streams in the converted range, from their bit rates."""
    if source.expected_frames is None:
        return 0.0
    bits = sum(
        getattr(stream.codec_context, "bit_rate", None) or 0
        for stream in source.copied
        if stream.type == "audio" and stream.codec_context is not None
    )
    return bits / 8 * source.expected_frames / float(source.info.rate)
