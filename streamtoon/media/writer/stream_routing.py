"""Choosing a route for each stream of the source: copied unchanged, re-encoded, or
left out with a warning.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Literal, Protocol

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream

from streamtoon.errors import CorruptInputError
from streamtoon.media.packets import add_copy
from streamtoon.media.reader.opening import OpenedVideo, is_cover_art, is_still
from streamtoon.media.reader.probe import MediaInfo
from streamtoon.media.reader.video_reader import OnError
from streamtoon.media.writer.containers import ContainerKind, accepts_stream, codec_name
from streamtoon.media.writer.first_audio_frame import FirstAudioFrame
from streamtoon.media.writer.gapless_audio import MAX_UNFILLED_GAP_S, GaplessAudio
from streamtoon.media.writer.metadata import stream_tags
from streamtoon.media.writer.packet_routes import CopyRoute, DropRoute, EncodeRoute, GapRoute, Route

Handling = Literal["encode", "drop"]
Plan = Mapping[int, Handling]
"""The handling of streams, by index, that the muxer does not accept unchanged."""
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
"""Layouts that every encoder supports, by number of channels."""
_BITS_PER_CHANNEL = {"aac": 96_000, "libopus": 80_000, "libmp3lame": 112_000}
_KINDS = {
    "audio": "sound",
    "subtitle": "subtitles",
    "data": "data",
    "video": "video",
    "attachment": "attached file",
}


class Origin(Protocol):
    """What a route needs to know about the source of its packets."""

    @property
    def opened(self) -> OpenedVideo:
        """The container."""

    @property
    def info(self) -> MediaInfo:
        """The facts of the video."""

    @property
    def on_error(self) -> OnError:
        """What to do about damage."""

    @property
    def covers(self) -> dict[int, bytes]:
        """Cover art by stream index."""

    @property
    def keeps_times(self) -> bool:
        """Whether all timestamps equal those in the file."""


def add_route(
    container: OutputContainer,
    kind: ContainerKind,
    source: Origin,
    template: Stream,
    warnings: list[str],
    plan: Plan | None = None,
) -> Route:
    """Add a route for the packets of `template`, in a container whose header is not written yet.

    Args:
        container: The output.
        kind: The output's format.
        source: The source of the packets.
        template: The stream in the source.
        warnings: Gets a warning for each loss or change.
        plan: The handling of streams that the muxer has refused.
    """
    if is_still(template):  # the still image of an animation file
        return DropRoute()
    planned = plan.get(template.index) if plan else None
    route = _choose_route(container, kind, source, template, planned, warnings)
    if kind.whole_rate and isinstance(route, CopyRoute) and template.type == "audio":
        return GapRoute(route, kind, label_of(template), source.info.start, warnings)
    return route


def _choose_route(
    container: OutputContainer,
    kind: ContainerKind,
    source: Origin,
    template: Stream,
    planned: Handling | None,
    warnings: list[str],
) -> Route:
    label = label_of(template)
    told = f"{label[0].upper()}{label[1:]} is damaged"

    def tell_damage() -> None:
        if source.on_error == "stop":
            raise CorruptInputError(
                f"{source.opened.name}: {told}. Use --on-error repair to keep everything that can be decoded."
            )
        if f"{told}: what could be decoded was kept." not in warnings:
            warnings.append(f"{told}: what could be decoded was kept.")

    full = kind.sound_tracks is not None and len(container.streams.audio) >= kind.sound_tracks
    if planned == "drop" or (full and template.type == "audio"):
        reason = f"does not support {label}: it" if planned else f"supports only one audio stream: {label}"
        warnings.append(f"{kind.name} {reason} was left out.")
        return DropRoute()
    sound = template.codec_context if isinstance(template, AudioStream) else None
    if sound is not None and not sound.sample_rate:
        # Its packets are lost or damaged from the first one on, so its format is unknown.
        warnings.append(f"{told} from the first packet on: it was left out.")
        return DropRoute()
    if is_cover_art(template) and kind.takes_attachments:
        return _attach_cover(container, source, template)
    late = dict(source.info.late).get(template.index, Fraction(0)) if kind.whole_rate else Fraction(0)
    late = late if late > MAX_UNFILLED_GAP_S else Fraction(0)
    if (
        planned is None
        and not late
        and (kind.takes_covers or not is_cover_art(template))
        and accepts_stream(kind, template)
    ):
        stream = add_copy(container, template)
        stream.metadata.clear()
        stream.metadata.update(stream_tags(template.metadata, kind))
        if kind.codecs is not None and "mpegts" in source.info.container:
            stream.id = template.id
        is_cut = source.info.is_cut and template.type == "audio"
        front = FirstAudioFrame(kind, template, label, warnings) if is_cut else None
        return CopyRoute(container, stream, _end_of(source, template), tell_damage, front)
    if template.type == "audio" and template.codec_context is not None and kind.audio:
        why = f"{kind.name} does not support {label}"
        if late:
            why = f"{kind.name} cannot store a start that is {float(late):.1f} s late, like that of {label}"
        warnings.append(
            f"{why}: it was re-encoded as {kind.audio}{', with silence in front' if late else ''}."
        )
        filled = GaplessAudio(source.info.start) if kind.whole_rate else None
        encoded = _add_audio_encoder(container, kind, template)
        return EncodeRoute(container, encoded, tell_damage, filled, is_cut=source.info.is_cut)
    # The muxer creates the tracks of time codes and chapter titles itself. Other streams than the video's
    # have one too: Sony's data ("rtmd").
    code = template.metadata.get("timecode")
    is_timecode = code is not None and code == source.opened.stream.metadata.get("timecode")
    made_anew = (kind.takes_timecode and is_timecode) or _is_chapter_text(source, template)
    if not made_anew:
        warnings.append(f"{kind.name} does not support {label}: it was left out.")
    return DropRoute()


def _is_chapter_text(source: Origin, template: Stream) -> bool:
    """Return whether a data stream contains the titles of MOV chapters, which are
    already read as chapters.
    """
    chapters = len(source.opened.container.chapters())
    is_text = template.type == "data" and codec_name(template) == "bin_data"
    return is_text and "mov" in source.info.container and 0 < chapters == template.frames


def _end_of(source: Origin, template: Stream) -> int | None:
    """Return the declared end of an audio stream in its time base."""
    if template.type != "audio" or not source.keeps_times or template.duration is None:
        return None
    return (template.start_time or 0) + template.duration


def label_of(stream: Stream) -> str:
    """Return the name of a source stream for messages."""
    what = "cover art" if is_cover_art(stream) else _KINDS.get(stream.type, "data")
    name = stream.metadata.get("title") or stream.metadata.get("filename") or stream.language
    codec = codec_name(stream)
    known = (codec if codec != "unknown" else None, name if name != "und" else None)
    details = ", ".join(dict.fromkeys(part for part in known if part))
    return f"the {what} of stream {stream.index}" + (f" ({details})" if details else "")


def _add_audio_encoder(container: OutputContainer, kind: ContainerKind, template: Stream) -> AudioStream:
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
    stream.metadata.update(stream_tags(template.metadata, kind))
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
