"""Time: missing and broken timestamps mended, cuts decided. Fractions only, so nothing ever drifts."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from av.video.frame import VideoFrame

TOLERANCE = Fraction(1, 2000)
"""Seconds by which a typed time may miss a frame's own: people write 33.37 for 33.366667."""


class Clock:
    """Gives every decoded frame a timestamp; times that are missing or run backwards are derived."""

    def __init__(self, time_base: Fraction, rate: Fraction) -> None:
        self._step = max(1, round(1 / (rate * time_base)))
        self._last: int | None = None
        self._length = 0
        self.mended = 0
        """Timestamps that had to be derived."""

    def stamp(self, frame: VideoFrame) -> int:
        """The pts of `frame` in the stream's time base; it always grows."""
        pts = frame.pts if frame.pts is not None else frame.dts
        if frame.pts is None:
            self.mended += 1
        if self._last is None:
            pts = pts or 0
        elif pts is None:
            pts = self._last + self._length
        elif pts <= self._last:
            self.mended += frame.pts is not None
            pts = self._last + (1 if pts == self._last else self._length)
        self._last, self._length = pts, frame.duration or self._step
        return pts

    def last_duration(self, end: int | None) -> int:
        """How long the last frame lasts when the stream says that it ends at `end`."""
        if end is not None and self._last is not None and 0 < end - self._last <= 4 * self._length:
            return end - self._last
        return self._length


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a video to keep: from `start` up to, not including, `end`, in seconds of its own time."""

    start: Fraction | None
    end: Fraction | None

    @classmethod
    def of(cls, start: float | None, end: float | None, origin: Fraction) -> Cut:
        """`start` and `end` as a person counts them: the video begins at 0, wherever its timestamps do.

        Raises ValueError for times that make no interval.
        """
        for name, value in (("start", start), ("end", end)):
            if value is not None and not 0 <= value < 1e9:
                raise ValueError(f"the {name} of the cut is {value:g} s, which lies outside of any video")
        if start is not None and end is not None and end <= start:
            raise ValueError(f"the end of the cut ({end:g} s) has to come after its start ({start:g} s)")
        seconds = [
            None if t is None else Fraction(t).limit_denominator(1_000_000) + origin for t in (start, end)
        ]
        return cls(*seconds)

    def before(self, time: Fraction) -> bool:
        """True for a time that lies before the part."""
        return self.start is not None and time < self.start - TOLERANCE

    def after(self, time: Fraction) -> bool:
        """True for a time that lies behind the part."""
        return self.end is not None and time >= self.end - TOLERANCE
