"""Converting a video to a constant frame rate by choosing frames, without blending.

Output frame n lasts from n / rate to (n + 1) / rate seconds after the first one. It is the source frame that
is on screen in the middle of that interval, so that on average frames are neither early nor late relative to
the audio. FFmpeg's filter `fps` chooses the same frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from math import floor, gcd, lcm
from typing import TypeVar

from av.video.frame import VideoFrame

from engines.frame import Frame
from streamtoon.media.packets import Passthrough
from streamtoon.media.reader.probe import MediaInfo

Timed = tuple[VideoFrame, int, int]
"""A frame, its timestamp and its duration in the stream's time base."""
NonFrame = TypeVar("NonFrame")
MIN_FPS, MAX_FPS = Fraction(1, 10), Fraction(240)
"""Range of frame rates that can be requested."""
_MAX_DENOMINATOR = 90_000
"""The first frame's time is rounded to 1 / _FINEST seconds."""


def parse_rate(text: str | float | Fraction) -> Fraction:
    """Parse "10", "29.97", "30000/1001" or a number as fps. 23.976 and similar mean 24000/1001.

    Raises ValueError with a message for the user.
    """
    try:
        rate = Fraction(str(text).strip())
    except (ValueError, ZeroDivisionError):
        raise ValueError(
            f"invalid frame rate {str(text)!r}: give frames per second, such as 10 or 29.97"
        ) from None
    nominal = Fraction(round(rate) * 1000, 1001)
    if rate.denominator != 1 and abs(rate - nominal) < Fraction(1, 200):
        rate = nominal  # the usual names of NTSC rates are rounded
    if not MIN_FPS <= rate <= MAX_FPS:
        raise ValueError(f"frame rate {text} is out of range: {float(MIN_FPS):g} to {float(MAX_FPS):g} fps")
    return rate


class SteadyRate:
    """Chooses the frames of one video for a constant rate.

    Args:
        rate: Output fps.
        unit: Seconds per unit of the source's timestamps.
        first: Timestamp of the source's first frame, in `unit`.
        begin: Output time of the first frame in seconds.
    """

    def __init__(self, rate: Fraction, unit: Fraction, first: int, begin: Fraction) -> None:
        self._rate, self._unit, self._first = rate, unit, first
        begin = begin.limit_denominator(_MAX_DENOMINATOR)
        step = 1 / rate
        denominator = lcm(begin.denominator, step.denominator)
        common = Fraction(gcd(int(begin * denominator), int(step * denominator)), denominator)
        self.time_base = common
        """Seconds per unit of the output timestamps, in which all of them are integers."""
        self.first_pts = int(begin / common)
        """Output timestamp of the first frame."""
        self._step = int(step / common)

    def applied(self, info: MediaInfo) -> MediaInfo:
        """Return `info` with this rate."""
        frames = info.frames and max(1, round(info.frames * self._rate / info.rate))
        return replace(info, rate=self._rate, grid_rate=self._rate, time_base=self.time_base, frames=frames)

    def choose(self, items: Iterable[Timed | NonFrame]) -> Iterator[Timed | NonFrame]:
        """Yield the chosen frames, each with time and duration in units of `time_base`.

        Other items are passed on. A frame that is shown n times lasts n output frames (see `split`).
        """
        held: VideoFrame | None = None
        following = until = 0
        for item in items:
            if not isinstance(item, tuple):
                yield item
                continue
            frame, pts, duration = item
            begin = self._place(pts)
            if held is None:
                following = begin  # the video is read from the middle
            elif begin > following:
                yield self._timed(held, following, begin)
                following = begin
            held, until = frame, self._place(pts + duration)
        if held is not None and max(until, 1) > following:  # even the shortest video has one frame
            yield self._timed(held, following, max(until, 1))

    def split(self, items: Iterable[Frame | Passthrough]) -> Iterator[Frame | Passthrough]:
        """Repeat each frame as often as it is shown."""
        for item in items:
            if not isinstance(item, Frame):
                yield item
                continue
            for n in range(item.duration // self._step):
                pts, is_key = item.pts + n * self._step, item.is_key and n == 0
                yield replace(item, pts=pts, duration=self._step, is_key=is_key)

    def _place(self, pts: int) -> int:
        """Return the index of the first output frame that can show a frame of this time."""
        return floor((pts - self._first) * self._unit * self._rate + Fraction(1, 2))

    def _timed(self, frame: VideoFrame, begin: int, until: int) -> Timed:
        return frame, self.first_pts + begin * self._step, (until - begin) * self._step
