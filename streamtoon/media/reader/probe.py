"""The facts of a video."""

from __future__ import annotations

import struct
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engines.frame import ColorInfo
from streamtoon.errors import CorruptInputError, UnsupportedFormatError
from streamtoon.media.color import ColorTags, color_info, delivered_tags, read_tags
from streamtoon.media.reader.decoder import VideoDecoder
from streamtoon.media.reader.dolby_vision import dolby_vision
from streamtoon.media.reader.edit_lists import shown_frames
from streamtoon.media.reader.opening import OpenedVideo, check_size, open_video
from streamtoon.media.reader.timestamps import MAX_DURATION_S
from streamtoon.media.side_data import side_data, stereo_mode
from streamtoon.media.timecode import from_side_data

MIN_FPS, MAX_FPS = Fraction(1, 86_400), Fraction(10_000)
"""Plausible range of frame rates: from one frame per day to high-speed cameras."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The facts of a video from its container, its streams and its first frame."""

    path: str
    """As given; "standard input" for a pipe."""
    container: str
    """FFmpeg's name of the container format, e.g. "mov,mp4,m4a,3gp,3g2,mj2"."""
    width: int
    """Pixels as coded, before rotation and sample aspect ratio."""
    height: int
    duration: float | None
    """Seconds; None if the container does not say."""
    frames: int | None
    """Number of frames that the container declares; None if it does not."""
    rate: Fraction
    """Average frames per second."""
    grid_rate: Fraction | None
    """Lowest rate whose grid seems to contain all timestamps; None if there is none."""
    time_base: Fraction
    """Seconds per unit of the video stream's timestamps."""
    video_codec: str
    audio_codecs: tuple[str, ...]
    color: ColorInfo
    """How to interpret the converted frames (8-bit YUV 4:2:0)."""
    tags: ColorTags
    """The tags of the stream, unchanged."""
    rotation: int
    """Degrees counter-clockwise by which a player rotates the video: normally 0, 90, 180 or -90."""
    display_matrix: tuple[int, ...] | None
    """The nine integers of the display matrix; None if there is none."""
    sample_aspect_ratio: Fraction | None
    """Width of a pixel over its height; None if unspecified."""
    pixel_format: str
    bit_depth: int
    interlaced: bool
    start: Fraction = Fraction(0)
    """Seconds at which the first stream begins, in the reader's timestamps."""
    is_cut: bool = False
    """Whether reading starts within the file. Audio may then start before 0."""
    timecode: str | None = None
    """Time code of the first frame, if the frame carries one."""
    stereo: str | None = None
    """How two views share a frame (see `stereo_mode`)."""
    late: tuple[tuple[int, Fraction], ...] = ()
    """Index of each audio stream that starts after `start`, with the delay in seconds."""

    @property
    def output_tags(self) -> ColorTags:
        """The colour tags for the output."""
        return delivered_tags(self.pixel_format, self.tags)


def probe(path: str | Path | BinaryIO) -> MediaInfo:
    """Open `path`, decode its first frame and return the facts. Raises InputError."""
    video = open_video(path)
    with closing(video):
        decoder = VideoDecoder(video.stream, video.name)
        for packet in decoder.packets(video.container, (video.stream,)):
            for frame in decoder.decode(packet):
                return describe(video, frame)
        for frame in decoder.flush():
            return describe(video, frame)
    raise CorruptInputError(f"{video.name} contains no frame that can be decoded.")


def describe(video: OpenedVideo, frame: VideoFrame) -> MediaInfo:
    """Return the facts of an opened video whose first frame is `frame`.

    Raises InputError for unsupported sizes and colours.
    """
    stream, context = video.stream, video.stream.codec_context
    check_size(frame.width, frame.height, video.name)
    dolby = dolby_vision(stream)
    if dolby is not None and dolby.has_own_colors:
        raise UnsupportedFormatError(
            f"{video.name} is Dolby Vision profile {dolby.profile}, which only Dolby's decoders show in the "
            "right colours. Convert it to HDR10 or SDR first, for example with FFmpeg's filter libplacebo."
        )
    tags = read_tags(frame)
    pixel_format = frame.format.name
    duration = video.container.duration
    if stream.duration and stream.time_base:
        seconds: float | None = float(stream.duration * stream.time_base)
    else:
        seconds = duration / 1_000_000 if duration else None
    rate = plausible_rate(stream)
    grid, codec = stream.base_rate, context.codec.canonical_name
    frames = shown_frames(stream, "mov" in video.container.format.name)
    if seconds is not None and not 0 < seconds <= MAX_DURATION_S:
        seconds = None
    if frames is not None and not 0 < frames <= MAX_DURATION_S * rate:
        frames = None
    return MediaInfo(
        path=video.name,
        container=video.container.format.name,
        width=frame.width,
        height=frame.height,
        duration=seconds,
        frames=frames,
        rate=rate,
        grid_rate=grid if grid and grid >= rate * Fraction(98, 100) else None,
        time_base=stream.time_base or Fraction(1, 90000),
        video_codec=codec,
        audio_codecs=tuple(
            a.codec_context.codec.canonical_name if a.codec_context else "unknown"
            for a in video.container.streams.audio
        ),
        color=color_info(delivered_tags(pixel_format, tags), frame.height),
        tags=tags,
        rotation=frame.rotation,
        display_matrix=_display_matrix(frame, codec),
        sample_aspect_ratio=stream.sample_aspect_ratio or None,
        pixel_format=pixel_format,
        bit_depth=max(component.bits for component in frame.format.components),
        interlaced=frame.interlaced_frame,
        timecode=_timecode(frame, codec, rate),
        stereo=stereo_mode(frame, codec),
    )


def plausible_rate(stream: VideoStream) -> Fraction:
    """Return the fps of a stream; 25 if it is missing or implausible."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and MIN_FPS <= rate <= MAX_FPS:
            return rate
    return Fraction(25)


def _display_matrix(frame: VideoFrame, codec: str) -> tuple[int, ...] | None:
    for name, data in side_data(frame, codec):
        if name == "DISPLAYMATRIX":
            return struct.unpack("=9i", bytes(data)[:36])
    return None


def _timecode(frame: VideoFrame, codec: str, rate: Fraction) -> str | None:
    codes = [data for name, data in side_data(frame, codec) if name == "S12M_TIMECODE"]
    return from_side_data(bytes(codes[0]), rate) if codes else None
