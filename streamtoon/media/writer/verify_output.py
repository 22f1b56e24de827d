"""Reading the written file again, to check when every stream begins and ends.

A container can be written without an error and still play audio at the wrong speed or time. Only packets at
both ends are read, so this is fast even after hours of video.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet

from streamtoon.media.reader.opening import is_cover_art

MAX_PACKETS = 1000
"""Maximum number of packets to read at the beginning to find every stream."""
TAIL_S = Fraction(3)
"""Seconds to read at the end."""
TOLERANCE_S = Fraction(1, 10)
"""Tolerance for audio in seconds: the delay and the last frame of an encoder."""


@dataclass(slots=True)
class StreamSpan:
    """The interval of a stream's packets in seconds."""

    begin: Fraction
    end: Fraction

    @property
    def length(self) -> Fraction:
        """Duration in seconds."""
        return self.end - self.begin

    @classmethod
    def joined(cls, before: StreamSpan | None, begin: Fraction, end: Fraction) -> StreamSpan:
        """Extend `before` to include `begin` to `end`."""
        return cls(begin, end) if before is None else cls(min(before.begin, begin), max(before.end, end))


def differences(
    path: Path, pictures: StreamSpan, sounds: Mapping[str, StreamSpan], *, has_starts: bool
) -> list[str]:
    """Return a warning for each difference between the file at `path` and the plan.

    Args:
        path: The written file.
        pictures: The planned interval of the video.
        sounds: The planned intervals of the audio streams by their names for messages, in stream order.
        has_starts: Whether the container stores when a stream begins. Otherwise audio counts from 0.
    """
    try:
        with av.open(f"file:{path}", metadata_errors="surrogateescape") as file:
            videos = [s.index for s in file.streams.video if not is_cover_art(s)]
            heard = [s.index for s in file.streams.audio]
            found = _spans(file, [*videos[:1], *heard], pictures)
    except av.FFmpegError as error:
        return [f"The written file cannot be read again: {str(error.strerror or error).lower()}."]
    if not videos or len(heard) != len(sounds):
        found_streams = f"{len(videos)} video and {len(heard)} audio streams"
        return [f"The written file has {found_streams} instead of 1 and {len(sounds)}."]
    said = []
    seen = found.get(videos[0])
    if seen is None or abs(seen.length - pictures.length) > TOLERANCE_S:
        lasts = 0.0 if seen is None else float(seen.length)
        said.append(
            f"The video lasts {lasts:.2f} s in the written file instead of {float(pictures.length):.2f} s."
        )
    zero = (pictures.begin if has_starts else Fraction(0)) - (seen.begin if seen and has_starts else 0)
    for index, (label, plan) in zip(heard, sounds.items(), strict=True):
        name, span = label[0].upper() + label[1:], found.get(index)
        if span is None:
            said.append(f"{name} is empty in the written file.")
            continue
        begins, ends = (float(each + zero) for each in (span.begin, span.end))
        if abs(ends - plan.end) > TOLERANCE_S:
            said.append(
                f"{name} ends at {ends:.2f} s in the written file instead of {float(plan.end):.2f} s."
            )
        elif abs(max(begins, 0.0) - max(plan.begin, Fraction(0))) > TOLERANCE_S:
            said.append(
                f"{name} begins at {begins:.2f} s in the written file instead of {float(plan.begin):.2f} s."
            )
    return said


def _spans(file: InputContainer, indexes: list[int], pictures: StreamSpan) -> dict[int, StreamSpan]:
    """Return the intervals of the streams, from the packets at the beginning and the end."""
    spans: dict[int, StreamSpan] = {}
    left = MAX_PACKETS
    for packet in _with_times(file, indexes):
        _add(spans, packet)
        left -= 1
        if not left or len(spans) == len(indexes):
            break
    file.seek(max(0, int((pictures.end - TAIL_S) * 1_000_000)))
    for packet in _with_times(file, indexes):
        _add(spans, packet)
    return spans


def _with_times(file: InputContainer, indexes: list[int]) -> Iterable[Packet[Any]]:
    streams = [file.streams[index] for index in indexes]
    return (packet for packet in file.demux(*streams) if packet.size and packet.pts is not None)


def _add(spans: dict[int, StreamSpan], packet: Packet[Any]) -> None:
    assert packet.pts is not None
    begin, index = packet.pts * packet.time_base, packet.stream_index
    spans[index] = StreamSpan.joined(
        spans.get(index), begin, begin + (packet.duration or 0) * packet.time_base
    )
