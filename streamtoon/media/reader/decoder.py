"""Decoding packets to frames. Damaged packets are skipped and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engines.common.memory import can_allocate
from streamtoon.errors import CorruptInputError, EngineError, InputError, OutOfMemoryError
from streamtoon.media.reader.nvdec import is_on_gpu, set_threads, to_planar
from streamtoon.media.reader.opening import MAX_FRAME_PIXELS

_LIBVPX = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
MAX_READ_ERRORS = 100
"""Consecutive read errors after which a file counts as ended."""
MAX_GPU_FAILURES = 8
"""Consecutive packets that a GPU rejects before it counts as failed. Fewer count as damage."""


class VideoDecoder:
    """Decodes one video stream and counts damage.

    Messages call the file `name`. With `strict`, the first damage raises a CorruptInputError that says where
    it is. Raises OutOfMemoryError if memory for frames runs out, and EngineError if a GPU decoder fails.
    """

    def __init__(self, stream: VideoStream, name: str, *, strict: bool = False) -> None:
        self._stream, self._name, self.strict = stream, name, strict
        if not stream.codec_context.is_open:
            set_threads(stream)
            stream.codec_context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
        self._decode: Callable[[Packet[VideoStream] | None], list[VideoFrame]] = stream.decode
        self._with_alpha = _alpha_decoder(stream)
        if self._with_alpha is not None:
            self._decode = self._with_alpha.decode
        self._bad_packets = self._bad_pictures = self._gpu_failures = 0
        self.read_errors = 0
        """Number of places in the file where reading failed."""
        self.bad_audio_packets = 0
        """Number of incomplete audio packets."""
        self.packets_seen = 0
        """Number of video packets so far, without those that an edit list removes."""
        self._time: Fraction | None = None

    @property
    def damaged(self) -> int:
        """The number of incomplete or undecodable packets, or that of corrupt frames, whichever is higher."""
        return max(self._bad_packets, self._bad_pictures)

    def reset_damage(self) -> None:
        """Reset all damage counts."""
        self._bad_packets = self._bad_pictures = self.read_errors = self.bad_audio_packets = 0

    def packets(self, container: InputContainer, streams: Sequence[Stream]) -> Iterator[Packet[Any]]:
        """Yield every non-empty packet in file order. Read errors are skipped and counted.

        Raises InputError if no data arrives within the container's timeout.
        """
        in_a_row = 0
        while in_a_row < MAX_READ_ERRORS:
            try:
                for packet in container.demux(*streams):
                    in_a_row = 0
                    # PyAV ends with empty packets that flush the decoders; here flush() does that.
                    if packet.size:
                        self._listen(packet)
                        yield packet
                return
            except av.error.ExitError as error:  # PyAV raises this when its timeout expires
                raise InputError(f"reading {self._name} timed out: no more data arrived.") from error
            except av.FFmpegError as error:
                in_a_row += 1
                self.read_errors += 1
                self._refuse(error)

    def _listen(self, packet: Packet[Any]) -> None:
        """Count an incomplete audio packet. It is passed on unchanged."""
        if packet.is_corrupt and packet.stream.type == "audio":
            self.bad_audio_packets += 1
            self._refuse(None)

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """Return the frames that `packet` completes; none if it is damaged."""
        self.packets_seen += not packet.is_discard
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            self._time = stamp * packet.time_base
        if packet.is_corrupt:
            self._bad_packets += 1
            self._refuse(None)
        try:
            return self._count(self._decode(packet))
        except av.FFmpegError as error:
            self._check_gpu(error)
            self._bad_packets += not packet.is_corrupt
            self._refuse(error)
            return []

    def flush(self) -> Iterator[VideoFrame]:
        """Yield the frames that the decoder still holds."""
        for _ in range(MAX_READ_ERRORS):
            try:
                yield from self._count(self._decode(None))
                return
            except av.error.EOFError:
                return
            except av.FFmpegError as error:
                self._check_gpu(error)
                self._bad_packets += 1
                self._refuse(error)

    def _check_gpu(self, error: av.FFmpegError) -> None:
        """Raise EngineError if the GPU fails for many packets in a row. A single failure may be damage."""
        gpu_failed = isinstance(error, (av.error.ExternalError, av.error.UnknownError))
        self._gpu_failures = self._gpu_failures + 1 if gpu_failed and is_on_gpu(self._stream) else 0
        if self._gpu_failures >= MAX_GPU_FAILURES:
            raise EngineError(
                f"NVDEC fails on every frame of {self._name}; run the command again with --decoder cpu"
            ) from error

    def _count(self, frames: list[VideoFrame]) -> list[VideoFrame]:
        if is_on_gpu(self._stream):
            frames = [to_planar(frame) for frame in frames]
        for frame in frames:
            self._gpu_failures = 0
            if frame.is_corrupt:
                self._bad_pictures += 1
                if frame.pts is not None and frame.time_base:
                    self._time = frame.pts * frame.time_base
                self._refuse(None)
        return frames

    def _refuse(self, error: BaseException | None) -> None:
        if not can_allocate():  # a frame lost to low memory is not damage
            raise OutOfMemoryError(f"not enough memory to decode {self._name}") from error
        if self.strict:
            where = "at its beginning" if self._time is None else f"at {self._when(self._time)}"
            raise CorruptInputError(
                f"{self._name} is damaged {where}. Use --on-error repair to keep everything that can be "
                "decoded."
            ) from error

    def _when(self, time: Fraction) -> str:
        begin = max(0, self._stream.start_time or 0) * (self._stream.time_base or Fraction(0))
        minutes, seconds = divmod(float(max(Fraction(0), time - begin)), 60)
        return f"{int(minutes // 60)}:{int(minutes % 60):02}:{seconds:06.3f}"


def _alpha_decoder(stream: VideoStream) -> VideoCodecContext | None:
    """Return libvpx's decoder for VP8 or VP9 with transparency; None for all other video.

    WebM stores alpha as a second image with each packet (Matroska's AlphaMode, RFC 9559, 5.1.4.1.28.4).
    FFmpeg's own decoders ignore it and would show what lies under the transparent parts.
    """
    name = stream.codec_context.codec.canonical_name if stream.codec_context else ""
    tags = {key.lower(): value for key, value in stream.metadata.items()}
    if name not in _LIBVPX or tags.get("alpha_mode") != "1":
        return None
    decoder = VideoCodecContext.create(_LIBVPX[name], "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
    decoder.thread_count = 0
    return decoder
