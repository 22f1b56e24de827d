"""Repairing timestamps and deciding cuts. Times are fractions, so nothing drifts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from av.packet import Packet
from av.video.frame import VideoFrame

if TYPE_CHECKING:
    from av.container.core import Chapter

CUT_TOLERANCE_S = Fraction(1, 2000)
"""Seconds by which a typed time may miss a frame's time: users write 33.37 for 33.366667."""
MAX_START_S = Fraction(5)
"""Seconds. A file whose first time is later is shifted to 0."""
MAX_DURATION_S = 30 * 24 * 3600
"""Maximum plausible duration in seconds."""

_DISCONTINUOUS = 0x200
"""AVFMT_TS_DISCONT: broadcasts, whose clock is reset at joins and after signal loss."""
_MAX_BACKWARDS_S = {True: Fraction(1, 4), False: Fraction(2)}
"""Maximum seconds that a stream's times may run backwards, by decoding times, or without them by presentation
times, which are not in order."""
_MAX_GAP_S = {True: Fraction(60), False: Fraction(12 * 3600)}
"""Seconds without packets, in broadcasts and in other files, after which the clock counts as reset."""
_REMEMBERED_CLOCKS = 3
"""Number of previous clocks to try before assuming a new one. Packets are mixed where parts meet."""


def offset_of(file: Fraction, pictures: Fraction) -> Fraction:
    """Return the seconds to add to all times of a file that begins at `file` and its frames at `pictures`.

    Few containers can store frames before 0. A start far above 0 is not a delay: a broadcast carries its
    sender's clock and would seem to last for hours.
    """
    if pictures < 0:
        return -pictures
    return -file if file > MAX_START_S else Fraction(0)


class Timeline:
    """Moves packets of all streams onto one continuous clock, so that video and audio stay in sync.

    Where the clock of a file is reset (joined recordings, counter overflow, damaged times), all streams move
    by the same offset, chosen so that the stream with the reset continues without a gap. Mere gaps are kept.
    `begin` seconds are added to all times (see `offset_of`).
    """

    def __init__(self, format_flags: int, begin: Fraction = Fraction(0)) -> None:
        self._forward = _MAX_GAP_S[bool(format_flags & _DISCONTINUOUS)]
        self._offsets = [begin]  # the latest is last
        self._current = begin
        self._used: dict[int, Fraction] = {}  # by stream, like the next two
        self._lasts: dict[int, Fraction] = {}
        self._ends: dict[int, Fraction] = {}
        self.resets = 0
        """Number of clock resets."""
        self.end: Fraction | None = None
        """Seconds at which the last packet so far ends."""

    def gap(self, packet: Packet[Any]) -> Fraction:
        """Return the seconds without packets before `packet`; negative where packets overlap."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None or not self._ends:
            return Fraction(0)
        return stamp * packet.time_base + self._current - max(self._ends.values())

    def set_max_gap(self, seconds: Fraction) -> None:
        """Set the gap in seconds above which the clock counts as reset."""
        self._forward = seconds

    def place(self, packet: Packet[Any], *, dense: bool) -> None:
        """Move the times of `packet`. Only `dense` streams (audio, video) are used to detect clock resets."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            return
        unit, index = packet.time_base, packet.stream_index
        if dense:
            self._current = self._choose(index, stamp * unit, _MAX_BACKWARDS_S[packet.dts is not None])
            self._used[index] = self._current
            self._go_on(index, stamp * unit + self._current, (packet.duration or 0) * unit)
        end = (stamp + (packet.duration or 0)) * unit + self._current
        self.end = end if self.end is None else max(self.end, end)
        if self._current:
            moved = round(self._current / unit)
            packet.dts = None if packet.dts is None else packet.dts + moved
            packet.pts = None if packet.pts is None else packet.pts + moved

    def _go_on(self, index: int, time: Fraction, length: Fraction) -> None:
        # For packets without a duration, use the distance to the previous packet.
        last = self._lasts.get(index)
        if not length and last is not None and 0 < time - last < 1:
            length = time - last
        self._lasts[index] = time
        self._ends[index] = time + length

    def _choose(self, index: int, time: Fraction, back: Fraction) -> Fraction:
        """Return the offset that continues the stream: the latest, a previous one, or a new one."""
        if not self._ends:
            return self._current
        latest = max(self._ends.values())
        end = self._ends.get(index, latest)
        low = end - back if index in self._ends else latest - self._forward
        fitting = [each for each in self._offsets if low <= time + each <= latest + self._forward]
        newest = self._offsets[-1]
        if newest in fitting and self._used.get(index) == newest:
            return newest
        if fitting:
            return min(fitting, key=lambda offset: abs(time + offset - end))
        self.resets += 1
        self._offsets = [*self._offsets[1 - _REMEMBERED_CLOCKS :], end - time]
        return end - time


class Clock:
    """Gives every decoded frame a timestamp. Missing times and times that run backwards are estimated."""

    def __init__(self, time_base: Fraction, rate: Fraction) -> None:
        self._step = max(1, round(1 / (rate * time_base)))
        self._last: int | None = None
        self._length = 0
        self.estimated = 0
        """Number of estimated timestamps."""

    def stamp(self, frame: VideoFrame) -> int:
        """Return the pts of `frame` in the stream's time base. It always increases."""
        pts = frame.pts if frame.pts is not None else frame.dts
        if frame.pts is None:
            self.estimated += 1
        if self._last is None:
            pts = pts or 0
        elif pts is None:
            pts = self._last + self._length
        elif pts <= self._last:
            self.estimated += frame.pts is not None
            pts = self._last + (1 if pts == self._last else self._length)
        self._last, self._length = pts, frame.duration or self._step
        return pts

    def last_duration(self, end: int | None) -> int:
        """Return the duration of the last frame, for a stream that ends at `end`."""
        if end is not None and self._last is not None and 0 < end - self._last <= 4 * self._length:
            return end - self._last
        return self._length


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a video to keep: from `start` up to, not including, `end`, in
    seconds of the file's time.
    """

    start: Fraction | None
    end: Fraction | None

    @classmethod
    def of(cls, start: float | None, end: float | None, origin: Fraction) -> Cut:
        """Create a cut from times that count from the beginning of the video.

        Raises ValueError for an invalid interval.
        """
        for name, value in (("start", start), ("end", end)):
            if value is not None and not 0 <= value < 1e9:
                raise ValueError(f"the {name} of the cut ({value:g} s) is outside of any video")
        if start is not None and end is not None and end <= start:
            raise ValueError(f"the end of the cut ({end:g} s) must be after its start ({start:g} s)")
        seconds = [
            None if t is None else Fraction(t).limit_denominator(1_000_000) + origin for t in (start, end)
        ]
        return cls(*seconds)

    def before(self, time: Fraction) -> bool:
        """Return whether a time lies before the part."""
        return self.start is not None and time < self.start - CUT_TOLERANCE_S

    def after(self, time: Fraction) -> bool:
        """Return whether a time lies after the part."""
        return self.end is not None and time >= self.end - CUT_TOLERANCE_S

    def chapters(self, chapters: Iterable[Chapter], offset: Fraction, shift: Fraction) -> list[Chapter]:
        """Return the chapters in the part, cut to it.

        Args:
            chapters: The chapters of the file.
            offset: Seconds to add to all times.
            shift: Seconds to subtract after that.
        """
        kept = []
        for chapter in chapters:
            unit = chapter["time_base"]
            if not unit:
                continue
            begin, until = (chapter[end] * unit + offset for end in ("start", "end"))
            if self.after(begin) or self.before(until):
                continue
            begin = max(Fraction(0), begin - shift) if shift else begin
            until = (until if self.end is None else min(until, self.end)) - shift
            kept.append({**chapter, "start": int(begin / unit), "end": round(until / unit)})
        return kept  # type: ignore[return-value]  # the same keys as the TypedDict they come from
