"""Edit lists of MOV and MP4, whose trimmed parts are still in the file.

FFmpeg reads edit lists (ISO/IEC 14496-12, 8.6.6) and marks the packets that they remove. Decoders drop these.
A copied packet would become audible again in a container without edit lists.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

MAX_ENCODER_DELAY_S = Fraction(1, 8)
"""Seconds before the start of an audio stream that count as encoder delay. Every container and player knows
it."""


class EditLists:
    """Finds the packets of copied streams that an edit list removes."""

    def __init__(self) -> None:
        self._starts: dict[int, Fraction | None] = {}

    def is_removed(self, packet: Packet[Any]) -> bool:
        """Return whether `packet` must not be copied. Call it in file order, with unchanged timestamps.

        For audio, the encoder delay before the start is kept: decoders need it, and it is not audible.
        """
        if packet.pts is None:
            return False
        index, time = packet.stream_index, packet.pts * packet.time_base
        if index not in self._starts:
            self._starts[index] = self._primed_start(packet.stream, time)
        if not packet.is_discard or packet.stream.type == "video":  # other frames may refer to this one
            return False
        start = self._starts[index]
        return start is None or not start - MAX_ENCODER_DELAY_S <= time < start

    @staticmethod
    def _primed_start(stream: Stream, first: Fraction) -> Fraction | None:
        """Return the start of an audio stream if only the encoder delay lies before it."""
        if stream.type != "audio" or stream.start_time is None or stream.time_base is None:
            return None
        start = stream.start_time * stream.time_base
        return start if first >= start - MAX_ENCODER_DELAY_S else None


def shown_frames(stream: VideoStream, is_mov: bool) -> int | None:
    """Return the number of frames that the container declares and no edit list removes; None if undeclared.

    FFmpeg's index omits or marks what an edit list removes. If the index ends before the duration of the
    stream, it is truncated, and the missing frames still count as declared.
    """
    declared: int | None = stream.frames or None
    entries = stream.index_entries
    if not declared or not is_mov or not len(entries):
        return declared
    shown = [entry.timestamp for entry in entries if not entry.is_discard]
    if len(shown) > 1 and stream.duration:
        step = (max(shown) - min(shown)) / (len(shown) - 1)
        if max(shown) - min(shown) + 1.5 * step < stream.duration:
            return declared - (len(entries) - len(shown))
    return min(declared, len(shown))
