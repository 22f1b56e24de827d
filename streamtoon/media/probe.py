"""What a video is, in facts."""

from __future__ import annotations

import struct
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from engines.picture import Colour
from streamtoon.errors import InputError
from streamtoon.media.colour import ColourTags, as_colour, delivered_tags, read_tags
from streamtoon.media.decode import VideoDecoder
from streamtoon.media.opening import OpenedVideo, check_size, open_video
from streamtoon.media.timestamps import LONGEST

SLOWEST, FASTEST = Fraction(1, 86_400), Fraction(10_000)
"""Pictures per second that are believed: from one a day to those of cameras for slow motion."""


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """The facts of a video, as its container, its streams and its first picture state them."""

    path: str
    """As given; "standard input" for a pipe."""
    container: str
    """FFmpeg's name of the container format, e.g. "mov,mp4,m4a,3gp,3g2,mj2"."""
    width: int
    """Pixels, as coded: before rotation and sample aspect ratio."""
    height: int
    duration: float | None
    """Seconds, None where the container does not say."""
    frames: int | None
    """Pictures that the container declares, None where it does not."""
    rate: Fraction
    """Average pictures per second."""
    grid_rate: Fraction | None
    """The lowest rate whose grid all timestamps seem to lie on, None where none is seen."""
    time_base: Fraction
    """Seconds per unit of the video stream's timestamps."""
    video_codec: str
    audio_codecs: tuple[str, ...]
    colour: Colour
    """How the delivered pictures (8-bit YUV 4:2:0) are to be read."""
    tags: ColourTags
    """The tags in the stream, untouched."""
    rotation: int
    """Degrees counter-clockwise that a player turns the picture by: 0, 90, 180 or -90 in the main."""
    display_matrix: tuple[int, ...] | None
    """The nine integers of the display matrix, None where there is none."""
    sample_aspect_ratio: Fraction | None
    """Width of a pixel over its height, None where unspecified."""
    pixel_format: str
    bit_depth: int
    interlaced: bool

    @property
    def output_tags(self) -> ColourTags:
        """The colour tags that the output shall carry."""
        return delivered_tags(self.pixel_format, self.tags)


def probe(path: str | Path | BinaryIO) -> MediaInfo:
    """Open `path`, decode its first picture and state the facts. Raises InputError."""
    video = open_video(path)
    with closing(video):
        decoder = VideoDecoder(video.stream, video.name)
        for packet in decoder.packets(video.container, (video.stream,)):
            for frame in decoder.decode(packet):
                return describe(video, frame)
        for frame in decoder.flush():
            return describe(video, frame)
    raise InputError(f"{video.name} holds no picture that can be decoded.")


def describe(video: OpenedVideo, frame: VideoFrame) -> MediaInfo:
    """The facts of an opened video whose first picture is `frame`. Raises InputError on absurd sizes."""
    stream, context = video.stream, video.stream.codec_context
    check_size(frame.width, frame.height, video.name)
    tags = read_tags(frame)
    pixel_format = frame.format.name
    duration = video.container.duration
    if stream.duration and stream.time_base:
        seconds: float | None = float(stream.duration * stream.time_base)
    else:
        seconds = duration / 1_000_000 if duration else None
    rate = believable_rate(stream)
    frames = stream.frames or None
    if seconds is not None and not 0 < seconds <= LONGEST:
        seconds = None
    if frames is not None and not 0 < frames <= LONGEST * rate:
        frames = None
    return MediaInfo(
        path=video.name,
        container=video.container.format.name,
        width=frame.width,
        height=frame.height,
        duration=seconds,
        frames=frames,
        rate=rate,
        grid_rate=stream.base_rate or None,
        time_base=stream.time_base or Fraction(1, 90000),
        video_codec=context.codec.canonical_name,
        audio_codecs=tuple(
            a.codec_context.codec.canonical_name if a.codec_context else "unknown"
            for a in video.container.streams.audio
        ),
        colour=as_colour(delivered_tags(pixel_format, tags), frame.height),
        tags=tags,
        rotation=frame.rotation,
        display_matrix=_display_matrix(frame),
        sample_aspect_ratio=stream.sample_aspect_ratio or None,
        pixel_format=pixel_format,
        bit_depth=max(component.bits for component in frame.format.components),
        interlaced=frame.interlaced_frame,
    )


def believable_rate(stream: VideoStream) -> Fraction:
    """Pictures per second as the stream says; 25 where it says nothing, or nonsense."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and SLOWEST <= rate <= FASTEST:
            return rate
    return Fraction(25)


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    side_data: Any = frame.side_data  # PyAV's stub calls it a dict; it is a sequence of buffers
    for data in side_data:
        if data.type == SideDataType.DISPLAYMATRIX:
            return struct.unpack("=9i", bytes(data)[:36])
    return None
