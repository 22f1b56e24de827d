"""Where each stream of the source goes: copied bit by bit, encoded anew, or, said aloud, nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Protocol, cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from streamtoon.media.containers import ContainerKind, add_copy, codec_name, takes
from streamtoon.media.metadata import stream_tags
from streamtoon.media.opening import is_cover_art
from streamtoon.media.source import Source

_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
"""The layouts that every encoder knows, by number of channels."""
_BITS_PER_CHANNEL = {"aac": 96_000, "libopus": 80_000, "libmp3lame": 112_000}
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


class CopyRoute:
    """Packets as they are; only a decoding time that runs backwards is mended, which no container takes."""

    def __init__(self, container: OutputContainer, stream: Stream, end: int | None) -> None:
        self._container, self._stream = container, stream
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
        self._container.mux(packet)

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
    """Sound decoded and encoded anew; its times stay. Damage is said once in `warnings`."""

    def __init__(
        self, container: OutputContainer, stream: AudioStream, label: str, warnings: list[str]
    ) -> None:
        self._container, self._stream = container, stream
        self._label, self._warnings = label, warnings
        self._source: Stream | None = None
        self._even = _EvenSound()

    def write(self, packet: Packet[Any]) -> None:
        """Decode one packet and mux what is ready; damaged ones are left out."""
        self._source = packet.stream
        try:
            frames = cast("list[AudioFrame]", packet.decode())
        except av.FFmpegError:
            said = f"{self._label[0].upper()}{self._label[1:]} is damaged: what could be decoded was kept."
            if said not in self._warnings:
                self._warnings.append(said)
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


class DropRoute:
    """Nowhere."""

    def write(self, packet: Packet[Any]) -> None:
        """Let it go."""

    def finish(self) -> None:
        """Nothing is held back."""


def add_route(
    container: OutputContainer, kind: ContainerKind, source: Source, template: Stream, warnings: list[str]
) -> Route:
    """Open a way for the packets of `template`, in a container whose header is not yet written."""
    if is_cover_art(template) and kind.takes_attachments:
        return _attach_cover(container, source, template)
    if (kind.takes_covers or not is_cover_art(template)) and takes(kind, template):
        stream = add_copy(container, template)
        stream.metadata.clear()
        stream.metadata.update(stream_tags(template.metadata))
        if kind.codecs is not None and "mpegts" in source.info.container:
            stream.id = template.id
        return CopyRoute(container, stream, _end_of(source, template))
    label = _label(template)
    if template.type == "audio" and template.codec_context is not None and kind.audio:
        warnings.append(f"{kind.name} does not take {label}: encoded anew as {kind.audio}.")
        return EncodeRoute(container, _encode_anew(container, kind, template), label, warnings)
    if not (kind.is_mov and "timecode" in template.metadata):  # that track is made anew by the muxer
        warnings.append(f"{kind.name} does not take {label}: left out.")
    return DropRoute()


def _end_of(source: Source, template: Stream) -> int | None:
    """Where the sound ends by what the source declares, in the stream's time base."""
    if template.type != "audio" or source.shift or template.duration is None:
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
    stream.codec_context.layout = _LAYOUTS[channels - 1]
    stream.bit_rate = _BITS_PER_CHANNEL.get(kind.audio, 96_000) * channels
    stream.metadata.update(stream_tags(template.metadata))
    stream.disposition = template.disposition
    stream.codec_context.open()
    return stream


def _attach_cover(container: OutputContainer, source: Source, template: Stream) -> DropRoute:
    data = source.covers.get(template.index)
    if data:
        codec = codec_name(template)
        mime, suffix = ("image/png", "png") if codec == "png" else ("image/jpeg", "jpg")
        name = template.metadata.get("filename", f"cover.{suffix}")
        container.add_attachment(name, template.metadata.get("mimetype", mime), data)
    return DropRoute()
