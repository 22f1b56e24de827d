"""The output containers: their defaults, their limits, and options for exact timestamps."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Any, Final

import av
from av.codec.context import CodecContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from streamtoon.errors import OutputError
from streamtoon.media.packets import add_copy
from streamtoon.media.writer.codec_support import SUPPORTED_CODECS, TS_DATA

Options = dict[str, str]

MPEG_TS: Final = SUPPORTED_CODECS["mpegts"].codecs | TS_DATA
"""Codecs that a transport stream supports. Its muxer accepts anything."""


@dataclass(frozen=True, slots=True)
class ContainerKind:
    """One container format and the facts that decide how a video is written to it."""

    format: str
    """FFmpeg's name of the muxer."""
    name: str
    """The name for messages."""
    video: tuple[str, ...] = ("h264",)
    """Default codecs, best first."""
    audio: str = "aac"
    """Encoder for audio that the container does not support."""
    tick: Fraction | None = None
    """Seconds per unit of its fixed clock; None if the clock can be chosen."""
    whole_rate: bool = False
    """Whether it counts frames instead of storing timestamps."""
    options: Options = field(default_factory=dict)
    """Options for the muxer."""
    codecs: frozenset[str] | None = None
    """Supported codecs, where FFmpeg's own answer is unreliable."""
    turns: bool = True
    """Whether it stores the display matrix. Otherwise the frames themselves are rotated."""
    early_times: bool = True
    """Whether it allows times before 0, or stores no decoding times, as B-frames at the start require."""
    pixel_shape: bool = True
    """Whether it stores the sample aspect ratio. Otherwise only the codec may."""
    channels: int | None = None
    """The only supported number of audio channels; None for any."""
    sound_tracks: int | None = None
    """Number of audio streams that players read, if the muxer accepts more."""

    @property
    def takes_attachments(self) -> bool:
        """Whether files (fonts, covers) can be attached."""
        return self.format == "matroska"

    @property
    def takes_covers(self) -> bool:
        """Whether a cover is a stream of its own."""
        return self.format == "mp4"

    @property
    def takes_chapters(self) -> bool:
        """Whether it stores chapters."""
        return self.is_mov or self.format in ("matroska", "webm")

    @property
    def takes_stereo(self) -> bool:
        """Whether it stores how two views share a frame."""
        return self.format in ("matroska", "webm")

    @property
    def takes_timecode(self) -> bool:
        """Whether it stores the time code of the first frame."""
        return self.is_mov or self.format == "matroska"

    @property
    def is_mov(self) -> bool:
        """Whether it is MP4 or QuickTime, which are one family."""
        return self.format in ("mp4", "mov")


_MS = Fraction(1, 1000)
# By default, the Matroska muxer shifts all streams if audio begins before 0, as encoder delay makes it.
_MATROSKA_OPTIONS = {"default_mode": "passthrough", "avoid_negative_ts": "disabled"}
_MP4_OPTIONS = {"movflags": "+faststart"}
MATROSKA = ContainerKind(
    "matroska", "Matroska", audio="libopus", tick=_MS, options=_MATROSKA_OPTIONS, pixel_shape=False
)
_MP4 = ContainerKind("mp4", "MP4", options=_MP4_OPTIONS)
_TS = ContainerKind(
    "mpegts",
    "MPEG transport stream",
    tick=Fraction(1, 90000),
    # Keep the times: by default the muxer adds its own start.
    options={"mpegts_copyts": "1"},
    codecs=MPEG_TS,
    turns=False,
    early_times=False,
    pixel_shape=False,
)
_WEBM = ContainerKind(
    "webm", "WebM", ("vp9",), "libopus", tick=_MS, options=_MATROSKA_OPTIONS, pixel_shape=False
)
_AVI = ContainerKind(
    "avi",
    "AVI",
    # AVI cannot store the order of H.264 frames. MPEG-4 Part 2 is what AVI players support.
    ("mpeg4",),
    "libmp3lame",
    whole_rate=True,
    options={"avoid_negative_ts": "disabled"},
    turns=False,
    pixel_shape=False,
)
_FLV = ContainerKind(
    "flv",
    "Flash Video",
    tick=_MS,
    sound_tracks=1,
    turns=False,
    early_times=False,
    pixel_shape=False,
)
_GIF = ContainerKind("gif", "GIF", ("gif",), "", Fraction(1, 100), turns=False, pixel_shape=False)

BY_EXTENSION: dict[str, ContainerKind] = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": ContainerKind("mov", "QuickTime", options=_MP4_OPTIONS),
    ".mkv": MATROSKA,
    ".webm": _WEBM,
    ".avi": _AVI,
    ".ts": _TS,
    ".mts": _TS,
    ".m2ts": _TS,
    ".flv": _FLV,
    ".gif": _GIF,
}


def kind_of(path: Path) -> ContainerKind:
    """Return the container for a file name. Raises OutputError for an unsupported extension."""
    kind = BY_EXTENSION.get(path.suffix.lower())
    if kind is None:
        if path.is_dir():
            raise OutputError(f"{path} is a folder. Give a file name in it.")
        said = (
            f'"{path.suffix}" is not a supported video format'
            if path.suffix
            else "the file name has no extension"
        )
        raise OutputError(f"{path}: {said}. Use one of {', '.join(BY_EXTENSION)}.")
    return kind


def muxer_options(kind: ContainerKind, time_bases: Iterable[Fraction]) -> Options:
    """Return the muxer's options for streams with these time bases."""
    options = dict(kind.options)
    if kind.is_mov:
        # Track starts are stored in units of the movie's clock, 1 ms by default. Choose a clock that all
        # tracks divide, so that no start is rounded.
        common = lcm(*(base.denominator for base in time_bases))
        if common <= 2**31 - 1:
            options["movie_timescale"] = str(max(common, 1000))
    return options


def accepts_stream(kind: ContainerKind, template: Stream) -> bool:
    """Return whether the container accepts packets of this stream unchanged and players support them in it.

    To test the muxer, a header is written to memory: no other check is reliable.
    """
    taken = SUPPORTED_CODECS.get(kind.format)
    if taken is not None:
        listed = {"audio": taken.sounds, "subtitle": taken.subtitles}.get(template.type)
        if listed is not None and codec_name(template) not in listed:
            return False
    if kind.codecs is not None:
        return codec_name(template) in kind.codecs
    if kind.is_mov and template.type == "data" and codec_name(template) != "bin_data":
        return False
    if kind.format == "flv" and _has_no_layout(template):
        return False
    written = io.BytesIO()
    try:
        with av.open(written, "w", format=kind.format) as trial:
            stream = add_copy(trial, template)
            trial.start_encoding()
            if template.type == "data":
                _write_data(trial, stream)
    except (av.FFmpegError, ValueError):
        return False
    return template.type != "data" or _describes_data(written.getvalue())


def _has_no_layout(stream: Stream) -> bool:
    """Return whether an audio stream has a channel count but no layout, like G.711 in AVI and RTP.

    FFmpeg's FLV muxer crashes the process on such a stream.
    """
    context = stream.codec_context
    return isinstance(context, av.AudioCodecContext) and "channels" in context.layout.name


def _write_data(trial: OutputContainer, stream: Stream) -> None:
    packet: Packet[Any] = Packet(bytes(16))
    packet.stream, packet.time_base = stream, Fraction(1, 1000)
    packet.pts = packet.dts = 0
    packet.duration = 1000
    trial.mux(packet)


def _describes_data(written: bytes) -> bool:
    """Return whether a reader can identify the data stream in a file.

    MOV accepts data with any tag but describes only GoPro's ("gpmd"). Other samples lack a description, and
    some readers reject the whole file for that.
    """
    try:
        with av.open(io.BytesIO(written)) as file:
            return [codec_name(stream) for stream in file.streams] == ["bin_data"]
    except (av.FFmpegError, ValueError):
        return False


def codec_name(stream: Stream) -> str:
    """Return the codec's name, whichever decoder reads it; "unknown" if FFmpeg does not know it."""
    context: CodecContext | None = stream.codec_context  # PyAV's stub omits None
    return context.codec.canonical_name if context else str(getattr(stream, "name", None) or "unknown")
