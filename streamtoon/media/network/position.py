"""How far a stream has been read. Its timestamps alone do not say: they restart
where recordings are joined.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

from av.packet import Packet

MAX_STEP_S: Final = 10
"""Seconds between two packets of a stream above which the clock counts as reset."""
_MAX_BACKWARDS_S: Final = 1
"""Seconds by which times may run backwards without a reset: packets without
decoding times are not in order."""
_DEFAULT_STEP_S: Final = Fraction(1, 50)
"""Default duration in seconds of a packet without time and duration."""


class Position:
    """The seconds of one stream that have been read. They never decrease, over any number of connections."""

    def __init__(self) -> None:
        self.seconds = Fraction(0)
        """Up to the start of the latest packet."""
        self._latest: Fraction | None = None
        self._untimed: Fraction | None = None
        self._step = _DEFAULT_STEP_S
        self._usual: Fraction | None = None

    def reconnect(self, step: Fraction | None = None) -> None:
        """Start a new connection, whose times are unrelated to the one before.

        `step` is the duration of a frame in seconds, if known.
        """
        self._latest = self._untimed = None
        self._usual = step
        self._step = step or self._step

    def add(self, packet: Packet[Any]) -> Fraction:
        """Count the next packet. Return `seconds`."""
        time = packet_time(packet)
        step = None if time is None or self._latest is None else time - self._latest
        if step is None or not -_MAX_BACKWARDS_S <= step <= MAX_STEP_S:
            step = self._step  # the duration of the packet before
            self.seconds += step
            self._latest = time if time is not None else self._latest
        elif step > 0:
            self.seconds += step
            self._latest = time
            self._step = step if step < 1 else self._step
        if self._latest is None:
            self._untimed = Fraction(0) if self._untimed is None else self._untimed + self._step
        if packet.duration and packet.time_base and (self._latest is not None or self._usual is None):
            # Without timestamps, the frame rate is more reliable: raw H.264 counts durations in fields.
            self._step = packet.duration * packet.time_base
        return self.seconds

    def stamp(self, packet: Packet[Any]) -> None:
        """Set the time of the packet added last, if no packet of its connection has one.

        Raw streams such as .h264 have no times.
        """
        if self._latest is None and self._untimed is not None and packet.time_base:
            packet.dts = round(self._untimed / packet.time_base)


def packet_time(packet: Packet[Any]) -> Fraction | None:
    """Return the decoding time of a packet in seconds, or else its presentation time;
    None if it has neither.
    """
    stamp = packet.dts if packet.dts is not None else packet.pts
    return None if stamp is None else stamp * packet.time_base
