"""Pictures and sound out to where they are wanted now; what is lost is opened again, at a key frame."""

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

from engines.picture import Picture
from streamtoon.errors import OutputError
from streamtoon.media.encoders import live_encoder
from streamtoon.media.network import STALL, BackOff, output_error, reason
from streamtoon.media.network_targets import WAITING, Target, taking
from streamtoon.media.network_worker import HangingError, Worker
from streamtoon.media.packets import Passthrough
from streamtoon.media.routes import Origin, Route, add_route
from streamtoon.media.video import VideoEncoder

PROVEN: Final = Fraction(2)
"""Seconds of pictures after which a connection stands: FFmpeg connects while it is written to."""
_WAITING = WAITING + 2
"""Pictures that may wait for a connection: in FFmpeg's thread, in its hand, and before it."""
_HANGING = STALL + 1
"""Seconds after which a library does not keep to its own limit, which is STALL."""
_CODED = 0.1
"""Bits that a pixel takes where nobody says."""


@dataclass(frozen=True, slots=True)
class Coding:
    """How pictures are coded."""

    bits: int | None
    """A second; None: as much as their size asks for."""
    interval: float
    """Seconds between two key frames."""

    def rate(self, width: int, height: int, fps: Fraction) -> int:
        """Bits a second."""
        usual = round(width * height * min(float(fps), 60) * _CODED)
        return self.bits or min(max(usual, 300_000), 12_000_000)


class LiveOrigin(Origin, Protocol):
    """What a NetworkSink has to know of its source."""

    @property
    def sound(self) -> Stream | None:
        """What is heard with the pictures, if anything."""


class NetworkSink:
    """Writes to a network address, an HLS playlist or a file, until `close`.

    `source` lends its facts and its sound. With `retry` the first connection is waited for. `tell` is called
    with sentences on what happens meanwhile. Raises OutputError; a network that is lost later is none.
    """

    def __init__(
        self,
        target: Target,
        source: LiveOrigin,
        coding: Coding,
        *,
        retry: bool,
        tell: Callable[[str], object],
    ) -> None:
        self.warnings: list[str] = []
        """Sentences for the user."""
        self.reconnects = 0
        """Times that a lost connection was made again."""
        self.lost = 0
        """Pictures that were drawn while nobody took them."""
        self.frames = 0
        """Pictures that were coded and, as far as one can tell, taken."""
        self._target, self._source, self._coding, self._retry = target, source, coding, retry
        self._tell = tell
        self._back_off, self._next_try = BackOff(), 0.0
        self._line: _Line | None = None
        self._proven = self._is_away = False
        self._told: set[str] = set()  # since somebody took pictures
        self._connect()

    @property
    def is_connected(self) -> bool:
        """Whether somebody takes what is written, as far as one can tell."""
        return self._line is not None and not self._is_away

    def write(self, item: Picture | Passthrough) -> None:
        """Take one picture or packet of sound. Raises OutputError where none can be written any more."""
        if self._line is None and isinstance(item, Picture) and monotonic() >= self._next_try:
            self._connect()
        if self._line is None:
            self.lost += isinstance(item, Picture)
            return
        try:
            self._line.write(item)
        except (av.FFmpegError, OSError, HangingError) as error:
            self.lost += isinstance(item, Picture)
            self._fail(error)
            return
        if isinstance(item, Picture):
            self.frames += 1
            if not self._line.stands and self._line.age > PROVEN and self._line.pictures > _WAITING:
                self._stand(self._line)

    def close(self) -> None:
        """Write the rest: trailer, playlist, the file's name. Raises OutputError where that cannot be."""
        line, self._line = self._line, None
        try:
            if line is not None:
                line.finish()
        except (av.FFmpegError, OSError, HangingError) as error:
            if not self._target.is_network or not self._proven:
                self._target.discard()
                raise self._error(error) from error
            self.warnings.append(f"{self._target.shown} was lost at the very end: {self._why(error)}.")
        if not self._target.is_network and not self.frames:
            self._target.discard()
            raise OutputError(f"{self._target.shown} was not written: no picture came.")
        self._target.publish()

    def abandon(self) -> None:
        """Leave it: a file is removed."""
        line, self._line = self._line, None
        if line is not None:
            with suppress(av.FFmpegError, OSError, HangingError):
                line.leave()
        self._target.discard()

    # --- how it gets there -----------------------------------------------------------------------

    def _connect(self) -> None:
        try:
            self._line = _Line(self._target, self._source, self._coding, self.warnings)
        except (av.FFmpegError, OSError, LookupError) as error:
            self._fail(error)

    def _stand(self, line: _Line) -> None:
        """Somebody takes the pictures."""
        line.stands = True
        self._back_off.reset()
        self._told.clear()
        if self._is_away:
            self._is_away = False
            self.reconnects += self._proven
            self._tell(f"{self._target.shown} is {'back' if self._proven else 'there'}.")
        self._proven = True

    def _fail(self, error: BaseException) -> None:
        """Wait before the next attempt. Raises OutputError where there is to be none."""
        line, self._line = self._line, None
        if line is not None:
            with suppress(av.FFmpegError, OSError, HangingError):
                line.leave()
            if isinstance(error, av.error.InvalidDataError) and line.waited >= STALL:
                error = TimeoutError()  # which FFmpeg's RTSP does not tell from nonsense
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
            said = f"{self._target.shown} is lost: {self._why(error)}. It is connected to again."
        if said not in self._told:
            self._told.add(said)
            self._tell(said)

    def _error(self, error: BaseException) -> OutputError:
        return output_error(self._target.shown, self._target.address, error)

    def _why(self, error: BaseException) -> str:
        return reason(error, self._target.address, STALL)


class _Line:
    """One connection, or one file: a container with a video encoder and a way for the sound."""

    def __init__(self, target: Target, source: LiveOrigin, coding: Coding, warnings: list[str]) -> None:
        info = source.info
        bits = coding.rate(info.width, info.height, info.rate)
        interval = max(1, round(coding.interval * info.rate))
        choice = live_encoder(target.kind, bits, interval, global_header=target.needs_global_header)
        self._interval = Fraction(coding.interval).limit_denominator(1000)
        self._half = 1 / (2 * info.rate)
        self._first: Fraction | None = None
        self._latest = self._key = Fraction(0)
        self.pictures, self.stands = 0, False
        """How many were taken over, and whether somebody takes them, as far as one can tell."""
        self._route: Route | None = None
        self._target, self._container = target, target.open(coding.interval)
        try:
            size = (info.width, info.height)
            self._video = VideoEncoder(self._container, target.kind, choice, info, size, warnings)
            sound = source.sound
            if isinstance(sound, AudioStream):
                context = sound.codec_context
                kind = taking(
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
        """Seconds of pictures that went this way."""
        return Fraction(0) if self._first is None else self._latest - self._first

    @property
    def waited(self) -> float:
        """Seconds since it was opened."""
        return monotonic() - self._opened

    def write(self, item: Picture | Passthrough) -> None:
        """Code and send; sound that comes before the first picture is left out."""
        if isinstance(item, Picture):
            self._worker.do(partial(self._picture, item), _HANGING)
            self.pictures += 1
        elif self._route is not None and self._first is not None and (item.time or 0) >= self._first:
            self._worker.do(partial(self._route.write, item.packet), _HANGING)

    def finish(self) -> None:
        """Send the rest, and the end."""
        try:
            self._worker.do(self._rest, _HANGING)
        finally:
            self._worker.end()

    def leave(self) -> None:
        """Close it as it is. What hangs is left to its thread."""
        try:
            self._worker.do(partial(self._target.close, self._container), _HANGING)
        finally:
            self._worker.end()

    def _picture(self, picture: Picture) -> None:
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
