"""Packets to frames, past any damage: what can be decoded is decoded, the rest is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamtoon.media.opening import MAX_PIXELS

MAX_READ_ERRORS = 100
"""Read errors in a row after which a file counts as ended."""


class VideoDecoder:
    """Decodes one video stream and keeps count of what was damaged."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        stream.thread_type = "AUTO"
        if not stream.codec_context.is_open:
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        self.damaged = 0
        """Packets that could not be decoded, and pictures that came out damaged."""
        self.read_errors = 0
        """Places in the file where reading failed."""
        self.packets_seen = 0
        """Packets of the video stream so far."""

    def packets(self, container: InputContainer, streams: Sequence[Stream]) -> Iterator[Packet[Any]]:
        """Every packet with content, in file order; read errors are skipped and counted."""
        in_a_row = 0
        while in_a_row < MAX_READ_ERRORS:
            try:
                for packet in container.demux(*streams):
                    in_a_row = 0
                    # PyAV ends with empty packets that flush the decoders; flush() does that here.
                    if packet.size:
                        yield packet
                return
            except av.FFmpegError:
                in_a_row += 1
                self.read_errors += 1

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """The frames that `packet` completes, none when it is damaged."""
        self.packets_seen += 1
        try:
            return self._count(self._stream.decode(packet))
        except av.FFmpegError:
            self.damaged += 1
            return []

    def flush(self) -> Iterator[VideoFrame]:
        """The frames that the decoder still holds."""
        for _ in range(MAX_READ_ERRORS):
            try:
                yield from self._count(self._stream.decode(None))
                return
            except av.error.EOFError:
                return
            except av.FFmpegError:
                self.damaged += 1

    def _count(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        self.damaged += sum(frame.is_corrupt for frame in frames)
        return frames
