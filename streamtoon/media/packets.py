"""Copying streams without decoding: their packets, and the streams that receive them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream


@dataclass(frozen=True, slots=True, eq=False)
class Passthrough:
    """One packet of audio, subtitles or data on its way from a VideoReader to a VideoWriter.

    The receiver owns it. The VideoReader does not touch it again, so it may cross threads.
    """

    packet: Packet[Any]
    stream_index: int
    """Index of its stream in the source."""

    @property
    def time(self) -> Fraction | None:
        """Presentation time in seconds; None if the packet has none."""
        pts = self.packet.pts if self.packet.pts is not None else self.packet.dts
        return None if pts is None else pts * self.packet.time_base

    def reaches(self, time: Fraction | None) -> bool:
        """Return whether the packet may last from before `time`, the start of a cut, into the cut.

        The exact start is known later: it is the time of the first frame from `time` on.
        """
        if self.packet.stream.type == "subtitle":
            return True
        begin, length = self.time, (self.packet.duration or 0) * self.packet.time_base
        if self.packet.stream.type != "audio" or begin is None or time is None:
            return False
        return begin + length > time

    def move_back(self, seconds: Fraction) -> bool:
        """Subtract `seconds` from its times. Return False if it lies before the cut that starts there.

        A subtitle that is still on screen is shortened. Audio keeps its length and may start before 0.
        """
        packet = self.packet
        offset = round(seconds / packet.time_base)
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is None:
            return False
        if pts < offset:
            rest = pts + (packet.duration or 0) - offset
            if rest <= 0 or packet.stream.type not in ("subtitle", "audio"):
                return False
            if packet.stream.type == "subtitle":
                packet.pts = packet.dts = offset
                packet.duration = rest
        if packet.pts is not None:
            packet.pts -= offset
        if packet.dts is not None:
            packet.dts -= offset
        return True

    def __repr__(self) -> str:
        return f"Passthrough(stream {self.stream_index}, {self.packet.size} bytes, pts={self.packet.pts})"


def add_copy(container: OutputContainer, template: Stream) -> Stream:
    """Add a stream for packets copied from `template`. Raises ValueError or an FFmpeg error."""
    stream = container.add_stream_from_template(template, opaque=True)
    stream.disposition = template.disposition
    return stream
