"""Sending frames and audio to a network, with automatic reconnection at a key frame."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from time import monotonic
from typing import Final, Protocol

import av
from av.audio.stream import AudioStream
from av.stream import Stream

from engines.frame import Frame
from streamtoon.errors import OutputError
from streamtoon.media.network.targets import MUXER_QUEUE_PACKETS, StreamTarget, supported_kind
from streamtoon.media.network.urls import SINK_TIMEOUT_S, BackOff, output_error, reason
from streamtoon.media.network.worker import CallTimeoutError, Worker
from streamtoon.media.packets import Passthrough
from streamtoon.media.writer.encoders import live_encoder
from streamtoon.media.writer.packet_routes import Route
from streamtoon.media.writer.stream_routing import Origin, add_route
from streamtoon.media.writer.video_encoder import VideoEncoder

ESTABLISHED_S: Final = Fraction(2)
"""Seconds of frames after which a connection counts as established: FFmpeg
connects while it is written to."""
_MAX_WAITING_FRAMES = MUXER_QUEUE_PACKETS + 2
"""Frames that may wait for a connection: in FFmpeg's thread, in its hands, and in front of it."""
_CALL_TIMEOUT_S = SINK_TIMEOUT_S + 1
"""Timeout for a library that exceeds its own timeout, SINK_TIMEOUT_S."""
_BITS_PER_PIXEL = 0.1
"""Default bits per pixel."""


@dataclass(frozen=True, slots=True)
class Coding:
    """Settings of the live encoder."""

    bits: int | None
    """Bits per second; None for a value based on the frame size."""
    interval: float
    """Seconds between two key frames."""

    def rate(self, width: int, height: int, fps: Fraction) -> int:
        """Return the bit rate in bits per second."""
        usual = round(width * height * min(float(fps), 60) * _BITS_PER_PIXEL)
        return self.bits or min(max(usual, 300_000), 12_000_000)


class LiveOrigin(Origin, Protocol):
    """What a NetworkSink needs to know about its source."""

    @property
    def sound(self) -> Stream | None:
        """The audio stream, if any."""


class NetworkSink:
    """Writes to a network address, an HLS playlist or a file, until `close`.

    A network connection that is lost later is reopened and is not an error.

    Args:
        target: Where to write.
        source: The source, for its facts and its audio stream.
        coding: Settings of the encoder.
        retry: Whether to wait for the first connection.
        tell: Called with messages for the user.

    Raises:
        OutputError: The target cannot be written.
        ConnectionLostError: The first connection failed because there is no answer, and `retry` is off.
    """

    def __init__(
        self,
        target: StreamTarget,
        source: LiveOrigin,
        coding: Coding,
        *,
        retry: bool,
        tell: Callable[[str], object],
    ) -> None:
        self.warnings: list[str] = []
        """Warnings for the user."""
        self.reconnects = 0
        """Number of reconnections."""
        self.lost = 0
        """Number of frames that were rendered while there was no connection."""
        self.frames = 0
        """Number of frames that were encoded and, as far as known, received."""
        self._target, self._source, self._coding, self._retry = target, source, coding, retry
        self._tell = tell
        self._back_off, self._next_try = BackOff(), 0.0
        self._line: _SinkConnection | None = None
        self._proven = self._is_away = False
        self._told: set[str] = set()  # since the receiver last took frames
        self._connect()

    @property
    def is_connected(self) -> bool:
        """Whether the receiver takes data, as far as known."""
        return self._line is not None and not self._is_away

    def write(self, item: Frame | Passthrough) -> None:
        """Write one frame or audio packet. Raises OutputError if writing is no longer possible."""
        if self._line is None and isinstance(item, Frame) and monotonic() >= self._next_try:
            self._connect()
        if self._line is None:
            self.lost += isinstance(item, Frame)
            return
        try:
            self._line.write(item)
        except (av.FFmpegError, OSError, CallTimeoutError) as error:
            self.lost += isinstance(item, Frame)
            self._fail(error)
            return
        if isinstance(item, Frame):
            self.frames += 1
            if (
                not self._line.stands
                and self._line.age > ESTABLISHED_S
                and self._line.pictures > _MAX_WAITING_FRAMES
            ):
                self._stand(self._line)

    def close(self) -> None:
        """Write trailer and playlist, or name the file. Raises OutputError if that fails."""
        line, self._line = self._line, None
        try:
            if line is not None:
                line.finish()
        except (av.FFmpegError, OSError, CallTimeoutError) as error:
            if not self._target.is_network or not self._proven:
                self._target.discard()
                raise self._error(error) from error
            self.warnings.append(
                f"The connection to {self._target.shown} was lost at the very end: {self._why(error)}."
            )
        if not self._target.is_network and not self.frames:
            self._target.discard()
            raise OutputError(f"{self._target.shown} was not written: no frame arrived.")
        self._target.publish()

    def abandon(self) -> None:
        """Stop without finishing. A file is removed."""
        line, self._line = self._line, None
        if line is not None:
            with suppress(av.FFmpegError, OSError, CallTimeoutError):
                line.leave()
        self._target.discard()

    # --- internals ---------------------------------------------------------------------------------

    def _connect(self) -> None:
        try:
            self._line = _SinkConnection(self._target, self._source, self._coding, self.warnings)
        except (av.FFmpegError, OSError, LookupError) as error:
            self._fail(error)

    def _stand(self, line: _SinkConnection) -> None:
        """Mark a connection as established."""
        line.stands = True
        self._back_off.reset()
        self._told.clear()
        if self._is_away:
            self._is_away = False
            self.reconnects += self._proven
            self._tell(f"{'Reconnected' if self._proven else 'Connected'} to {self._target.shown}.")
        self._proven = True

    def _fail(self, error: BaseException) -> None:
        """Wait before the next attempt. Raises OutputError if there is none."""
        line, self._line = self._line, None
        if line is not None:
            with suppress(av.FFmpegError, OSError, CallTimeoutError):
                line.leave()
            if isinstance(error, av.error.InvalidDataError) and line.waited >= SINK_TIMEOUT_S:
                error = TimeoutError()  # FFmpeg's RTSP reports a timeout like invalid data
            if not line.stands:
                self.frames, self.lost = self.frames - line.pictures, self.lost + line.pictures
        if not self._target.is_network:
            self._target.discard()
            raise self._error(error) from error
        if not (self._proven or self._retry):
            raise self._error(error) from error
        wait = self._back_off.next()
        self._next_try = monotonic() + wait
        self._is_away = True
        said = f"{self._error(error)} Waiting for it."
        if self._proven:
            said = f"The connection to {self._target.shown} was lost: {self._why(error)}. Reconnecting."
        if said not in self._told:
            self._told.add(said)
            self._tell(said)

    def _error(self, error: BaseException) -> OutputError:
        return output_error(self._target.shown, self._target.address, error)

    def _why(self, error: BaseException) -> str:
        return reason(error, self._target.address, SINK_TIMEOUT_S)


class _SinkConnection:
    """One connection or file: a container with a video encoder and a route for audio."""

    def __init__(self, target: StreamTarget, source: LiveOrigin, coding: Coding, warnings: list[str]) -> None:
        info = source.info
        bits = coding.rate(info.width, info.height, info.rate)
        interval = max(1, round(coding.interval * info.rate))
        choice = live_encoder(target.kind, bits, interval, global_header=target.needs_global_header)
        self._interval = Fraction(coding.interval).limit_denominator(1000)
        self._half = 1 / (2 * info.rate)
        self._first: Fraction | None = None
        self._latest = self._key = Fraction(0)
        self.pictures, self.stands = 0, False
        """Number of frames sent, and whether they are received, as far as known."""
        self._route: Route | None = None
        self._target, self._container = target, target.open(coding.interval)
        try:
            size = (info.width, info.height)
            self._video = VideoEncoder(self._container, target.kind, choice, info, size, warnings)
            sound = source.sound
            if isinstance(sound, AudioStream):
                context = sound.codec_context
                kind = supported_kind(
                    target.kind, context.extradata, context.codec.canonical_name, context.layout.nb_channels
                )
                self._route = add_route(self._container, kind, source, sound, warnings)
            self._container.start_encoding()
            self._opened = monotonic()
        except BaseException:
            target.close(self._container)
            raise
        self._worker = Worker("streamtoon-sink")

    @property
    def age(self) -> Fraction:
        """Seconds of frames that were sent."""
        return Fraction(0) if self._first is None else self._latest - self._first

    @property
    def waited(self) -> float:
        """Seconds since it was opened."""
        return monotonic() - self._opened

    def write(self, item: Frame | Passthrough) -> None:
        """Encode and send. Audio before the first frame is left out."""
        if isinstance(item, Frame):
            self._worker.do(partial(self._picture, item), _CALL_TIMEOUT_S)
            self.pictures += 1
        elif self._route is not None and self._first is not None and (item.time or 0) >= self._first:
            self._worker.do(partial(self._route.write, item.packet), _CALL_TIMEOUT_S)

    def finish(self) -> None:
        """Send the buffered data and the trailer."""
        try:
            self._worker.do(self._rest, _CALL_TIMEOUT_S)
        finally:
            self._worker.end()

    def leave(self) -> None:
        """Close without finishing. A call that hangs is left to its thread."""
        try:
            self._worker.do(partial(self._target.close, self._container), _CALL_TIMEOUT_S)
        finally:
            self._worker.end()

    def _picture(self, picture: Frame) -> None:
        time = picture.pts * picture.time_base
        as_key = self._first is None or time - self._key >= self._interval - self._half
        self._first = time if self._first is None else self._first
        self._latest, self._key = time, time if as_key else self._key
        self._container.mux(self._video.encode(picture, as_key=as_key))

    def _rest(self) -> None:
        self._container.mux(self._video.drain())
        if self._route is not None:
            self._route.finish()
        self._target.close(self._container)
