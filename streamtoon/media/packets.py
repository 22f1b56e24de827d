"""What travels beside the pictures: packets of every stream that is copied, not decoded."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.packet import Packet


@dataclass(frozen=True, slots=True, eq=False)
class Passthrough:
    """One packet of sound, subtitles or data on its way from a Source to a Sink.

    Whoever receives it owns it: the Source never touches it again, so it may cross threads.
    """

    packet: Packet[Any]
    stream_index: int
    """Index of its stream in the source."""

    @property
    def time(self) -> Fraction | None:
        """Presentation time in seconds, None where the packet does not say."""
        pts = self.packet.pts if self.packet.pts is not None else self.packet.dts
        return None if pts is None else pts * self.packet.time_base

    def __repr__(self) -> str:
        return f"Passthrough(stream {self.stream_index}, {self.packet.size} bytes, pts={self.packet.pts})"
