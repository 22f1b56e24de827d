"""Audio without gaps, for containers that count samples instead of storing timestamps."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from av.audio.frame import AudioFrame

MAX_UNFILLED_GAP_S = Fraction(1, 25)
"""Maximum gap in seconds that is not filled. Players show no loss of sync for it."""


class GaplessAudio:
    """Fills gaps with silence. Frames start at `start` seconds, and their times then count from 0."""

    def __init__(self, start: Fraction) -> None:
        self._start = start
        self._end = Fraction(0)

    def bring(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Yield silence up to `frame` if there is a gap, and then the frame."""
        base = frame.time_base
        if frame.pts is None or not base:
            yield frame
            return
        time = frame.pts * base - self._start
        if time - self._end > MAX_UNFILLED_GAP_S:
            yield from self._silence(frame, time, base)
        frame.pts = round(time / base)
        self._end = max(self._end, time) + Fraction(frame.samples, frame.sample_rate)
        yield frame

    def _silence(self, like: AudioFrame, until: Fraction, base: Fraction) -> Iterator[AudioFrame]:
        rate = like.sample_rate
        left = round((until - self._end) * rate)
        while left > 0:
            count = min(left, rate)
            silent = AudioFrame(like.format.name, like.layout.name, count)
            zero = 0x80 if like.format.name.startswith("u8") else 0
            for plane in silent.planes:
                plane.update(bytes([zero]) * plane.buffer_size)
            silent.sample_rate, silent.time_base = rate, base
            silent.pts = round(self._end / base)
            self._end += Fraction(count, rate)
            left -= count
            yield silent
