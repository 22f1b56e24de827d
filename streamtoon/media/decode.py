"""Packets to frames, past any damage: what can be decoded is decoded, the rest is counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engines.memory import has_room
from streamtoon.errors import EngineError, InputError, OutOfMemoryError
from streamtoon.media.nvdec import is_on_gpu, set_threads, unpacked
from streamtoon.media.opening import MAX_PIXELS

MAX_READ_ERRORS = 100
"""Read errors in a row after which a file counts as ended."""
MAX_GPU_FAILURES = 8
"""Packets in a row that a GPU refuses after which it counts as lost; fewer are damage."""


class VideoDecoder:
    """Decodes one video stream and keeps count of what was damaged.

    `name` is what messages call the file. With `strict` the first damage is an InputError that says where.
    Raises OutOfMemoryError where pictures are lost for want of memory, EngineError where a GPU that decodes
    them fails.
    """

    def __init__(self, stream: VideoStream, name: str, *, strict: bool = False) -> None:
        self._stream, self._name, self.strict = stream, name, strict
        if not stream.codec_context.is_open:
            set_threads(stream)
            stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
        self._bad_packets = self._bad_pictures = self._gpu_failures = 0
        self.read_errors = 0
        """Places in the file where reading failed."""
        self.bad_sounds = 0
        """Packets of sound that are incomplete."""
        self.packets_seen = 0
        """Packets of the video stream so far."""
        self._time: Fraction | None = None

    @property
    def damaged(self) -> int:
        """Packets that are incomplete or cannot be decoded, or pictures that come out damaged: the more."""
        return max(self._bad_packets, self._bad_pictures)

    def forget_damage(self) -> None:
        """Count anew from here."""
        self._bad_packets = self._bad_pictures = self.read_errors = self.bad_sounds = 0

    def packets(self, container: InputContainer, streams: Sequence[Stream]) -> Iterator[Packet[Any]]:
        """Every packet with content, in file order; read errors are skipped and counted.

        Raises InputError when nothing comes any more, for as long as the container was told to wait.
        """
        in_a_row = 0
        while in_a_row < MAX_READ_ERRORS:
            try:
                for packet in container.demux(*streams):
                    in_a_row = 0
                    # PyAV ends with empty packets that flush the decoders; flush() does that here.
                    if packet.size:
                        self._listen(packet)
                        yield packet
                return
            except av.error.ExitError as error:  # PyAV's way to say that its time-out has passed
                raise InputError(f"{self._name} cannot be read on: it gave no answer for long.") from error
            except av.FFmpegError as error:
                in_a_row += 1
                self.read_errors += 1
                self._refuse(error)

    def _listen(self, packet: Packet[Any]) -> None:
        """Count an incomplete packet of sound, which is passed on as it is."""
        if packet.is_corrupt and packet.stream.type == "audio":
            self.bad_sounds += 1
            self._refuse(None)

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """The frames that `packet` completes, none when it is damaged."""
        self.packets_seen += 1
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            self._time = stamp * packet.time_base
        if packet.is_corrupt:
            self._bad_packets += 1
            self._refuse(None)
        try:
            return self._count(self._stream.decode(packet))
        except av.FFmpegError as error:
            self._demand_gpu(error)
            self._bad_packets += not packet.is_corrupt
            self._refuse(error)
            return []

    def flush(self) -> Iterator[VideoFrame]:
        """The frames that the decoder still holds."""
        for _ in range(MAX_READ_ERRORS):
            try:
                yield from self._count(self._stream.decode(None))
                return
            except av.error.EOFError:
                return
            except av.FFmpegError as error:
                self._demand_gpu(error)
                self._bad_packets += 1
                self._refuse(error)

    def _demand_gpu(self, error: av.FFmpegError) -> None:
        """Raises EngineError where it is the GPU that fails, picture after picture; one may be damaged."""
        gpu_failed = isinstance(error, (av.error.ExternalError, av.error.UnknownError))
        self._gpu_failures = self._gpu_failures + 1 if gpu_failed and is_on_gpu(self._stream) else 0
        if self._gpu_failures >= MAX_GPU_FAILURES:
            raise EngineError(
                f"NVDEC fails at every picture of {self._name}: run it again with --decoder cpu"
            ) from error

    def _count(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        if is_on_gpu(self._stream):
            frames = [unpacked(frame) for frame in frames]
        for frame in frames:
            self._gpu_failures = 0
            if frame.is_corrupt:
                self._bad_pictures += 1
                if frame.pts is not None and frame.time_base:
                    self._time = frame.pts * frame.time_base
                self._refuse(None)
        return frames

    def _refuse(self, error: BaseException | None) -> None:
        if not has_room():  # a sound picture that is lost to that is no damage
            raise OutOfMemoryError(f"there is not enough memory to decode {self._name}") from error
        if self.strict:
            where = "at its beginning" if self._time is None else f"at {self._when(self._time)}"
            raise InputError(
                f"{self._name} is damaged {where}; --on-error repair keeps what can be decoded."
            ) from error

    def _when(self, time: Fraction) -> str:
        begin = max(0, self._stream.start_time or 0) * (self._stream.time_base or Fraction(0))
        minutes, seconds = divmod(float(max(Fraction(0), time - begin)), 60)
        return f"{int(minutes // 60)}:{int(minutes % 60):02}:{seconds:06.3f}"
