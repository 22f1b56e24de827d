"""Time: missing and broken timestamps mended, cuts decided. Fractions only, so nothing ever drifts."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.video.frame import VideoFrame

TOLERANCE = Fraction(1, 2000)
"""Seconds by which a typed time may miss a frame's own: people write 33.37 for 33.366667."""
LONGEST = 30 * 24 * 3600
"""Seconds: a video that claims to be longer, claims nonsense."""

_DISCONTINUOUS = 0x200
"""AVFMT_TS_DISCONT: broadcasts, whose clocks are set anew where parts were joined or the signal was lost."""
_BACK = {True: Fraction(1, 4), False: Fraction(2)}
"""Seconds that a stream's times may run backwards: by decoding times or, without them, by those of pictures,
which are not in order."""
_FORWARD = {True: Fraction(60), False: Fraction(12 * 3600)}
"""Seconds without anything, in broadcasts and in other files, after which it is the clock that has leapt."""
_MEMORY = 3
"""Clocks that are tried before a new one is believed in: where parts meet, their packets are mixed."""


class Timeline:
    """Packets of all streams on one clock that never leaps, so that pictures and sound leap together.

    Where the clock of a file is set anew (recordings joined end to end, a counter that overflows, a damaged
    time), all streams are moved by one and the same offset, which lets the stream that leapt go on without a
    gap. Times that merely have gaps stay as they are. `begin` seconds are added to all, for files whose
    pictures begin before 0, where few containers can keep them.
    """

    def __init__(self, format_flags: int, begin: Fraction = Fraction(0)) -> None:
        self._forward = _FORWARD[bool(format_flags & _DISCONTINUOUS)]
        self._offsets = [begin]  # the latest last
        self._current = begin
        self._used: dict[int, Fraction] = {}  # by stream, as the next two
        self._lasts: dict[int, Fraction] = {}
        self._ends: dict[int, Fraction] = {}
        self.leaps = 0
        """Times that the clock was set anew."""
        self.end: Fraction | None = None
        """Seconds at which the last of all packets so far ends."""

    def place(self, packet: Packet[Any], *, dense: bool) -> None:
        """Move the times of `packet`; only `dense` streams (sound, pictures) tell where the clock leaps."""
        stamp = packet.dts if packet.dts is not None else packet.pts
        if stamp is None:
            return
        unit, index = packet.time_base, packet.stream_index
        if dense:
            self._current = self._choose(index, stamp * unit, _BACK[packet.dts is not None])
            self._used[index] = self._current
            self._go_on(index, stamp * unit + self._current, (packet.duration or 0) * unit)
        end = (stamp + (packet.duration or 0)) * unit + self._current
        self.end = end if self.end is None else max(self.end, end)
        if self._current:
            moved = round(self._current / unit)
            packet.dts = None if packet.dts is None else packet.dts + moved
            packet.pts = None if packet.pts is None else packet.pts + moved

    def _go_on(self, index: int, time: Fraction, length: Fraction) -> None:
        # Where packets do not say how long they last, the one before tells.
        last = self._lasts.get(index)
        if not length and last is not None and 0 < time - last < 1:
            length = time - last
        self._lasts[index] = time
        self._ends[index] = time + length

    def _choose(self, index: int, time: Fraction, back: Fraction) -> Fraction:
        """The offset that lets the stream go on: the latest, one before it, or else a new one."""
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
        self.leaps += 1
        self._offsets = [*self._offsets[1 - _MEMORY :], end - time]
        return end - time


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
