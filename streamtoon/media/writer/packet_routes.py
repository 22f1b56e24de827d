"""The routes of packets into an output: copy, re-encode or drop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, Protocol, cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from streamtoon.media.writer.containers import ContainerKind
from streamtoon.media.writer.first_audio_frame import FirstAudioFrame, cut_before_zero
from streamtoon.media.writer.gapless_audio import GaplessAudio
from streamtoon.media.writer.verify_output import StreamSpan

_MIN_REPORTED_GAP_S = Fraction(1, 10)
"""Seconds of missing audio that make the rest audibly out of sync."""


class Route(Protocol):
    """Handles the packets of one source stream."""

    @property
    def span(self) -> StreamSpan | None:
        """The interval that was written so far; None for nothing."""

    def write(self, packet: Packet[Any]) -> None:
        """Write one packet to the output."""

    def finish(self) -> None:
        """Write all buffered packets to the output."""


class CopyRoute:
    """Copies packets unchanged, except for decoding times that run backwards, which no container allows.

    `tell_damage` is called for a packet that the container rejects as damaged; it is left out. `front`
    handles audio that begins before 0, at a cut.
    """

    def __init__(
        self,
        container: OutputContainer,
        stream: Stream,
        end: int | None,
        tell_damage: Callable[[], None],
        front: FirstAudioFrame | None = None,
    ) -> None:
        self._container, self._stream, self._tell_damage = container, stream, tell_damage
        self._end, self._front = end, front
        self._last_dts: int | None = None
        self.span: StreamSpan | None = None

    def write(self, packet: Packet[Any]) -> None:
        """Mux one packet."""
        if self._front is not None and packet.pts is not None and packet.pts < 0:
            fitted = self._front.fitted(packet)
            if fitted is None:
                return
            packet = fitted
        packet.stream = self._stream
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.dts is not None:
            if self._last_dts is not None and packet.dts <= self._last_dts:
                packet.dts = self._last_dts + 1
                packet.pts = max(packet.pts if packet.pts is not None else packet.dts, packet.dts)
            self._last_dts = packet.dts
        if self._end is not None and packet.pts is not None and packet.duration:
            # The last packet may play only in part. Only its duration can say so.
            packet.duration = min(packet.duration, max(1, self._end - packet.pts))
        if packet.pts is not None:
            begin = packet.pts * packet.time_base
            self.span = StreamSpan.joined(self.span, begin, begin + (packet.duration or 0) * packet.time_base)
        try:
            self._container.mux(packet)
        except av.error.InvalidDataError:
            self._tell_damage()

    def finish(self) -> None:
        """Do nothing: no packet is buffered."""

    def write_cover(self, data: bytes) -> None:
        """Mux a cover that the source has read ahead."""
        packet: Packet[Any] = Packet(data)
        packet.pts = packet.dts = 0
        packet.time_base = Fraction(1, 1000)
        packet.is_keyframe = True
        self.write(packet)


class EncodeRoute:
    """Decodes and re-encodes audio. `tell_damage` is called for damaged packets, which are left out.

    Times are kept, or count from 0 and are `filled` with silence. With `is_cut`, audio before 0 is removed.
    """

    def __init__(
        self,
        container: OutputContainer,
        stream: AudioStream,
        tell_damage: Callable[[], None],
        filled: GaplessAudio | None = None,
        *,
        is_cut: bool = False,
    ) -> None:
        self._container, self._stream, self._tell_damage = container, stream, tell_damage
        self._filled, self._is_cut = filled, is_cut
        self.span: StreamSpan | None = None
        self._source: Stream | None = None
        self._even = _UniformAudio()

    def write(self, packet: Packet[Any]) -> None:
        """Decode one packet and mux the available output. Damaged packets are left out."""
        self._source = packet.stream
        try:
            frames = cast("list[AudioFrame]", packet.decode())
        except av.FFmpegError:
            self._tell_damage()
            return
        self._encode(frames)

    def finish(self) -> None:
        """Mux what decoder and encoder still hold."""
        if self._source is not None:
            try:
                rest = self._source.decode(None)  # type: ignore[attr-defined]  # audio streams have it
            except av.FFmpegError:
                rest = []
            self._encode(rest)
            for frame in self._even.flush():
                self._encode_even(frame)
            self._container.mux(self._stream.encode(None))

    def _encode(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            kept = cut_before_zero(frame) if self._is_cut else frame
            for even in self._even.bring(kept) if kept is not None else ():
                self._encode_even(even)

    def _encode_even(self, frame: AudioFrame) -> None:
        for whole in [frame] if self._filled is None else self._filled.bring(frame):
            if whole.pts is not None and whole.time_base:
                begin = whole.pts * whole.time_base
                end = begin + Fraction(whole.samples, whole.sample_rate)
                self.span = StreamSpan.joined(self.span, begin, end)
            self._container.mux(self._stream.encode(whole))


class _UniformAudio:
    """Resamples frames to the layout, format, rate and time base of the first one, which broadcasts may
    change.
    """

    def __init__(self) -> None:
        self._first: AudioFrame | None = None
        self._setup: tuple[object, ...] | None = None
        self._resampler: av.AudioResampler | None = None

    def bring(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Yield `frame` in the first frame's format; unchanged if nothing has changed."""
        first = self._first = self._first or frame
        setup = (frame.format.name, frame.layout.name, frame.sample_rate)
        if setup != self._setup:
            yield from self.flush()
            self._setup = setup
            if setup != (first.format.name, first.layout.name, first.sample_rate):
                self._resampler = av.AudioResampler(first.format, first.layout, first.sample_rate)
        if self._resampler is None:
            yield frame
        else:
            yield from map(self._timed, self._resampler.resample(frame))

    def flush(self) -> Iterator[AudioFrame]:
        """Yield what the resampler still holds."""
        if self._resampler is not None:
            yield from map(self._timed, self._resampler.resample(None))
        self._resampler = None

    def _timed(self, frame: AudioFrame) -> AudioFrame:
        assert self._first is not None
        base = self._first.time_base
        if frame.pts is not None and frame.time_base and base:
            frame.pts = round(frame.pts * frame.time_base / base)
        if base:
            frame.time_base = base
        return frame


class GapRoute:
    """Reports gaps in audio, for containers that count samples instead of storing timestamps.

    Times count from `start` seconds.
    """

    def __init__(
        self, route: Route, kind: ContainerKind, label: str, start: Fraction, warnings: list[str]
    ) -> None:
        self._route, self._kind, self._label, self._warnings = route, kind, label, warnings
        self._start = start
        self._end: Fraction | None = None
        self._told = False

    @property
    def span(self) -> StreamSpan | None:
        """The interval of the route, counted from the start."""
        span = self._route.span
        return None if span is None else StreamSpan(span.begin - self._start, span.end - self._start)

    def write(self, packet: Packet[Any]) -> None:
        """Pass on one packet."""
        if packet.pts is not None:
            time = packet.pts * packet.time_base
            gap = Fraction(0) if self._end is None else time - self._end
            if gap > _MIN_REPORTED_GAP_S and not self._told:
                self._told = True
                where, early = f"from {float(time):.1f} s on", f"{float(gap):.1f} s too early"
                self._warnings.append(
                    f"{self._kind.name} cannot store gaps in audio: {where} {self._label} plays {early}. "
                    "Matroska and MP4 keep it in sync."
                )
            self._end = time + (packet.duration or 0) * packet.time_base
        self._route.write(packet)

    def finish(self) -> None:
        """Write all buffered packets to the output."""
        self._route.finish()


class DropRoute:
    """Drops all packets."""

    span: StreamSpan | None = None

    def write(self, packet: Packet[Any]) -> None:
        """Drop the packet."""

    def finish(self) -> None:
        """Do nothing."""
