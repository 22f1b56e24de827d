"""The containers that are written: what each takes by default, and how it is made to keep time exactly."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from pathlib import Path
from typing import Final

import av
from av.codec.context import CodecContext
from av.container import OutputContainer
from av.stream import Stream

from streamtoon.errors import OutputError

Options = dict[str, str]

MPEG_TS: Final = frozenset(
    "h264 hevc mpeg1video mpeg2video mpeg4 aac aac_latm mp2 mp3 ac3 eac3 dts opus truehd s302m "
    "dvb_subtitle dvb_teletext hdmv_pgs_subtitle klv timed_id3".split()
)


@dataclass(frozen=True, slots=True)
class ContainerKind:
    """One container format and the facts of it that decide how a video is written."""

    format: str
    """FFmpeg's name of the muxer."""
    name: str
    """For messages."""
    video: tuple[str, ...] = ("h264",)
    """Codecs to choose from by default, the best first."""
    audio: str = "aac"
    """Encoder for sound that the container does not take as it is."""
    tick: Fraction | None = None
    """Seconds per unit of its fixed clock; None where it takes any."""
    whole_rate: bool = False
    """True: it counts pictures instead of timing them."""
    options: Options = field(default_factory=dict)
    """For the muxer."""
    codecs: frozenset[str] | None = None
    """What it takes, where FFmpeg's own answer is no help."""
    turns: bool = True
    """True: it stores the display matrix; False: the pictures themselves have to be turned."""
    early_times: bool = True
    """True: it has times before 0, or stores no decoding times, as B-frames at the start require."""
    pixel_shape: bool = True
    """True: it stores the sample aspect ratio; False: only the codec may."""
    channels: int | None = None
    """Of sound, where it takes no other number."""

    @property
    def takes_attachments(self) -> bool:
        """True where files (fonts, covers) can be attached."""
        return self.format == "matroska"

    @property
    def takes_covers(self) -> bool:
        """True where a cover is a stream of its own."""
        return self.format == "mp4"

    @property
    def is_mov(self) -> bool:
        """True for MP4 and QuickTime, which are one family."""
        return self.format in ("mp4", "mov")


_MS = Fraction(1, 1000)
# By default the Matroska muxer moves all streams when sound begins before 0, as encoder delay makes it.
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
    # Times as they are: by default the muxer adds its own start.
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
    # H.264 in AVI has no place for the order of its pictures; MPEG-4 Part 2 is what AVI players know.
    ("mpeg4",),
    "libmp3lame",
    whole_rate=True,
    options={"avoid_negative_ts": "disabled"},
    turns=False,
    pixel_shape=False,
)
_FLV = ContainerKind("flv", "Flash Video", tick=_MS, turns=False, early_times=False, pixel_shape=False)
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
    """The container that a file name asks for. Raises OutputError for one that is not written here."""
    kind = BY_EXTENSION.get(path.suffix.lower())
    if kind is None:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; name a file in it.")
        said = (
            f'"{path.suffix}" is no video format that can be written'
            if path.suffix
            else "the name has no extension"
        )
        raise OutputError(f"{path}: {said}; take one of {', '.join(BY_EXTENSION)}.")
    return kind


def muxer_options(kind: ContainerKind, time_bases: Iterable[Fraction]) -> Options:
    """The muxer's options for streams with these time bases."""
    options = dict(kind.options)
    if kind.is_mov:
        # Where tracks start is written in units of the movie's own clock, 1 ms by default: give it one
        # that all tracks divide, so that no start is rounded.
        common = lcm(*(base.denominator for base in time_bases))
        if common <= 2**31 - 1:
            options["movie_timescale"] = str(max(common, 1000))
    return options


def takes(kind: ContainerKind, template: Stream) -> bool:
    """True when the container accepts packets of this stream as they are.

    Found out by writing a header into memory: the muxer itself is the only reliable witness.
    """
    if kind.codecs is not None:
        return codec_name(template) in kind.codecs
    if kind.is_mov and template.type == "data":
        # The muxer believes any tag of a data stream, but can describe only this kind.
        return codec_name(template) == "bin_data"
    try:
        with av.open(io.BytesIO(), "w", format=kind.format) as trial:
            add_copy(trial, template)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def add_copy(container: OutputContainer, template: Stream) -> Stream:
    """A stream for packets that are copied from `template`. Raises ValueError or an FFmpeg error."""
    stream = container.add_stream_from_template(template, opaque=True)
    stream.disposition = template.disposition
    return stream


def codec_name(stream: Stream) -> str:
    """The codec's name, whichever decoder reads it; "unknown" for one that FFmpeg does not know."""
    context: CodecContext | None = stream.codec_context  # PyAV's stub knows only the one case
    return context.codec.canonical_name if context else str(getattr(stream, "name", None) or "unknown")
