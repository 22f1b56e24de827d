"""Where each stream of the source goes: copied bit by bit, encoded anew, or, said aloud, nowhere."""

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

from streamtoon.errors import InputError
from streamtoon.media.containers import ContainerKind, add_copy, codec_name, takes
from streamtoon.media.metadata import stream_tags
from streamtoon.media.opening import OpenedVideo, is_cover_art
from streamtoon.media.probe import MediaInfo
from streamtoon.media.source import OnError

_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
"""The layouts that every encoder knows, by number of channels."""
_BITS_PER_CHANNEL = {"aac": 96_000, "libopus": 80_000, "libmp3lame": 112_000}
_GAP = Fraction(1, 10)
"""Seconds without sound that are heard as out of sync once they are lost."""
_KINDS = {
    "audio": "sound",
    "subtitle": "subtitles",
    "data": "data",
    "video": "video",
    "attachment": "attached file",
}


class Route(Protocol):
    """Takes the packets of one source stream."""

    def write(self, packet: Packet[Any]) -> None:
        """Bring one packet into the output."""

    def finish(self) -> None:
        """Bring the rest into the output."""


class Origin(Protocol):
    """What a route has to know of the source that its packets come from."""

    @property
    def opened(self) -> OpenedVideo:
        """The container."""

    @property
    def info(self) -> MediaInfo:
        """The facts."""

    @property
    def on_error(self) -> OnError:
        """What becomes of damage on the way."""

    @property
    def covers(self) -> dict[int, bytes]:
        """Cover art by stream index."""

    @property
    def keeps_times(self) -> bool:
        """Whether times are as in the file."""


class CopyRoute:
    """Packets as they are; only a decoding time that runs backwards is mended, which no container takes.

    `tell_damage` is called for a packet so damaged that the container does not take it: it is left out.
    """

    def __init__(
        self, container: OutputContainer, stream: Stream, end: int | None, tell_damage: Callable[[], None]
    ) -> None:
        self._container, self._stream, self._tell_damage = container, stream, tell_damage
        self._end = end
        self._last_dts: int | None = None

    def write(self, packet: Packet[Any]) -> None:
        """Mux one packet."""
        packet.stream = self._stream
        if packet.dts is None:
            packet.dts = packet.pts
        if packet.dts is not None:
            if self._last_dts is not None and packet.dts <= self._last_dts:
                packet.dts = self._last_dts + 1
                packet.pts = max(packet.pts if packet.pts is not None else packet.dts, packet.dts)
            self._last_dts = packet.dts
        if self._end is not None and packet.pts is not None and packet.duration:
            # A last packet that plays only in part: its duration is all that can say so.
            packet.duration = min(packet.duration, max(1, self._end - packet.pts))
        try:
            self._container.mux(packet)
        except av.error.InvalidDataError:
            self._tell_damage()

    def finish(self) -> None:
        """Nothing is held back."""

    def write_cover(self, data: bytes) -> None:
        """Mux a cover, which the source has read ahead."""
        packet: Packet[Any] = Packet(data)
        packet.pts = packet.dts = 0
        packet.time_base = Fraction(1, 1000)
        packet.is_keyframe = True
        self.write(packet)


class EncodeRoute:
    """Sound decoded and encoded anew; its times stay. `tell_damage` is called for what has to be left out."""

    def __init__(
        self, container: OutputContainer, stream: AudioStream, tell_damage: Callable[[], None]
    ) -> None:
        self._container, self._stream, self._tell_damage = container, stream, tell_damage
        self._source: Stream | None = None
        self._even = _EvenSound()

    def write(self, packet: Packet[Any]) -> None:
        """Decode one packet and mux what is ready; damaged ones are left out."""
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
                self._container.mux(self._stream.encode(frame))
            self._container.mux(self._stream.encode(None))

    def _encode(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            for even in self._even.bring(frame):
                self._container.mux(self._stream.encode(even))


class _EvenSound:
    """Frames in the layout, format, rate and time base of the first: broadcasts change theirs on the way."""

    def __init__(self) -> None:
        self._first: AudioFrame | None = None
        self._setup: tuple[object, ...] | None = None
        self._resampler: av.AudioResampler | None = None

    def bring(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """`frame` itself while nothing has changed."""
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
        """What the resampler still holds."""
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
    """For containers that count sound instead of timing it: a gap is said, since nothing can keep it."""

    def __init__(self, route: Route, kind: ContainerKind, label: str, warnings: list[str]) -> None:
        self._route, self._kind, self._label, self._warnings = route, kind, label, warnings
        self._end: Fraction | None = None
        self._told = False

    def write(self, packet: Packet[Any]) -> None:
        """Pass on one packet."""
        if packet.pts is not None:
            time = packet.pts * packet.time_base
            gap = Fraction(0) if self._end is None else time - self._end
            if gap > _GAP and not self._told:
                self._told = True
                where, early = f"from {float(time):.1f} s on", f"{float(gap):.1f} s too early"
                self._warnings.append(
                    f"{self._kind.name} has no place for gaps: {where} {self._label} comes {early}; "
                    "Matroska and MP4 keep it in sync."
                )
            self._end = time + (packet.duration or 0) * packet.time_base
        self._route.write(packet)

    def finish(self) -> None:
        """Bring the rest into the output."""
        self._route.finish()


class DropRoute:
    """Nowhere."""

    def write(self, packet: Packet[Any]) -> None:
        """Let it go."""

    def finish(self) -> None:
        """Nothing is held back."""


def add_route(
    container: OutputContainer, kind: ContainerKind, source: Origin, template: Stream, warnings: list[str]
) -> Route:
    """Open a way for the packets of `template`, in a container whose header is not yet written."""
    route = _choose_route(container, kind, source, template, warnings)
    if kind.whole_rate and template.type == "audio":
        return GapRoute(route, kind, _label(template), warnings)
    return route


def _choose_route(
    container: OutputContainer, kind: ContainerKind, source: Origin, template: Stream, warnings: list[str]
) -> Route:
    label = _label(template)
    told = f"{label[0].upper()}{label[1:]} is damaged"

    def tell_damage() -> None:
        if source.on_error == "stop":
            raise InputError(f"{source.opened.name}: {told}; --on-error repair keeps what can be decoded.")
        if f"{told}: what could be decoded was kept." not in warnings:
            warnings.append(f"{told}: what could be decoded was kept.")

    sound = template.codec_context if isinstance(template, AudioStream) else None
    if sound is not None and not sound.sample_rate:
        # Its packets are lost or damaged from the first one on: nobody knows what it sounds like.
        warnings.append(f"{told} from the first packet on: left out.")
        return DropRoute()
    if is_cover_art(template) and kind.takes_attachments:
        return _attach_cover(container, source, template)
    if (kind.takes_covers or not is_cover_art(template)) and takes(kind, template):
        stream = add_copy(container, template)
        stream.metadata.clear()
        stream.metadata.update(stream_tags(template.metadata))
        if kind.codecs is not None and "mpegts" in source.info.container:
            stream.id = template.id
        return CopyRoute(container, stream, _end_of(source, template), tell_damage)
    if template.type == "audio" and template.codec_context is not None and kind.audio:
        warnings.append(f"{kind.name} does not take {label}: encoded anew as {kind.audio}.")
        return EncodeRoute(container, _encode_anew(container, kind, template), tell_damage)
    if not (kind.is_mov and "timecode" in template.metadata):  # that track is made anew by the muxer
        warnings.append(f"{kind.name} does not take {label}: left out.")
    return DropRoute()


def _end_of(source: Origin, template: Stream) -> int | None:
    """Where the sound ends by what the source declares, in the stream's time base."""
    if template.type != "audio" or not source.keeps_times or template.duration is None:
        return None
    return (template.start_time or 0) + template.duration


def _label(stream: Stream) -> str:
    what = "cover art" if is_cover_art(stream) else _KINDS.get(stream.type, "data")
    name = stream.metadata.get("title") or stream.metadata.get("filename") or stream.language
    codec = codec_name(stream)
    known = (codec if codec != "unknown" else None, name if name != "und" else None)
    details = ", ".join(dict.fromkeys(part for part in known if part))
    return f"the {what} of stream {stream.index}" + (f" ({details})" if details else "")


def _encode_anew(container: OutputContainer, kind: ContainerKind, template: Stream) -> AudioStream:
    context = template.codec_context
    assert isinstance(context, av.AudioCodecContext)
    rate = context.sample_rate
    if kind.audio == "libopus":
        rate = min((r for r in _OPUS_RATES if r >= rate), default=48000)
    elif kind.audio == "libmp3lame":
        rate = rate if rate in (32000, 44100, 48000) else 48000
    stream = container.add_stream(kind.audio, rate=rate)
    assert isinstance(stream, AudioStream)
    channels = min(context.layout.nb_channels, 2 if kind.audio == "libmp3lame" else len(_LAYOUTS))
    channels = kind.channels or channels
    stream.codec_context.layout = _LAYOUTS[channels - 1]
    stream.bit_rate = _BITS_PER_CHANNEL.get(kind.audio, 96_000) * channels
    stream.metadata.update(stream_tags(template.metadata))
    stream.disposition = template.disposition
    stream.codec_context.open()
    return stream


def _attach_cover(container: OutputContainer, source: Origin, template: Stream) -> DropRoute:
    data = source.covers.get(template.index)
    if data:
        codec = codec_name(template)
        mime, suffix = ("image/png", "png") if codec == "png" else ("image/jpeg", "jpg")
        name = template.metadata.get("filename", f"cover.{suffix}")
        container.add_attachment(name, template.metadata.get("mimetype", mime), data)
    return DropRoute()
