"""Pictures into an encoder: sizes, times, tags and rotation as the source has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.stream import VideoStream

from engines.picture import Picture, Plane
from streamtoon.errors import OutputError
from streamtoon.media.containers import ContainerKind
from streamtoon.media.encoders import NVENC, EncoderChoice, add_video, ordinary_priority
from streamtoon.media.orientation import Orientation
from streamtoon.media.palette import Palette
from streamtoon.media.probe import MediaInfo
from streamtoon.media.work import CodedPicture

_MPEG4_QUALITY = 3
"""Quantiser of MPEG-4 Part 2, 1 (best) to 31."""
_SHAPE_IN_CODEC = ("h264", "hevc", "mpeg4")
"""Codecs that carry the sample aspect ratio themselves."""
_MAX_GRID = 120
"""Pictures per second up to which a container that counts pictures may count them on the finest grid."""


@dataclass(slots=True)
class Times:
    """Where a video has got to, in its stream's time base."""

    first: int
    """Timestamp of its first picture."""
    last: int
    """Timestamp of its latest picture."""
    until: int
    """When that one ends."""


class VideoEncoder:
    """Encodes Pictures of one size for a stream of `container`.

    `times` are those of the pictures before, where others have been encoded of the same video.
    """

    def __init__(
        self,
        container: OutputContainer,
        kind: ContainerKind,
        choice: EncoderChoice,
        info: MediaInfo,
        size: tuple[int, int],
        warnings: list[str],
        times: Times | None = None,
    ) -> None:
        self._container, self._kind, self._info, self._warnings = container, kind, info, warnings
        self._choice = choice
        self._announced = size
        self._orientation = Orientation() if kind.turns else Orientation.of(info.display_matrix)
        self._frame_size = self._even(*self._orientation.size(*size))
        self.width, self.height = self._coded_size()
        """Pixels, as coded."""
        self.time_base = self._choose_time_base()
        """Seconds per unit of its packets' times."""
        self.frames = 0
        """Pictures written so far."""
        self.times = times
        """None before the first picture."""
        self.has_adopted = False
        """Whether its pictures came coded, so that the encoder holds none."""
        self._palette = Palette(self.width, self.height, info.colour) if choice.name == "gif" else None
        self.stream: VideoStream = add_video(container, kind, choice, info.rate)
        self._configure()

    @property
    def codec(self) -> str:
        """The codec's name, e.g. "h264"."""
        return self._choice.codec

    @property
    def duration(self) -> Fraction:
        """Seconds from the first picture's start to the last one's end."""
        return (self.times.until - self.times.first) * self.time_base if self.times else Fraction(0)

    def encode(self, picture: Picture, *, as_key: bool = False) -> Sequence[Packet[VideoStream]]:
        """What is ready after one picture, which decoders can begin with if it is coded `as_key`.

        Raises ValueError for one of another size than announced.
        """
        if (picture.width, picture.height) != self._announced:
            raise ValueError(f"{picture} is not of the announced size {self._announced}")
        pts, duration = self._times(picture)
        frame = self._frame(picture)
        frame.pts, frame.time_base, frame.duration = pts, self.time_base, duration
        if as_key:
            frame.pict_type = PictureType.I
        self.frames += 1
        return self.stream.encode(frame)

    def adopt(self, coded: CodedPicture) -> Packet[VideoStream]:
        """A picture that an encoder of the same settings has coded before, as a packet of this stream."""
        packet: Packet[Any] = Packet(coded.data)
        packet.stream, packet.time_base = self.stream, self.time_base
        packet.pts, packet.duration, packet.is_keyframe = coded.pts, coded.duration, coded.is_key
        packet.dts = coded.dts
        until = coded.pts + coded.duration
        if self.times is None:
            self.times = Times(coded.pts, coded.pts, until)
        else:
            first, last = min(self.times.first, coded.pts), max(self.times.last, coded.pts)
            self.times = Times(first, last, max(self.times.until, until))
        self.frames += 1
        self.has_adopted = True
        return packet

    def drain(self) -> Sequence[Packet[VideoStream]]:
        """What the encoder still holds; nothing can be encoded afterwards."""
        return self.stream.encode(None)

    # --- setting up ------------------------------------------------------------------------------

    def _even(self, width: int, height: int) -> tuple[int, int]:
        if self._choice.takes_odd_sizes or (width % 2 == 0 and height % 2 == 0):
            return width, height
        even = width + width % 2, height + height % 2
        self._warn(
            f"{self.codec} needs an even size: {width}x{height} becomes {even[0]}x{even[1]}, the last row or "
            "column is repeated."
        )
        return even

    def _coded_size(self) -> tuple[int, int]:
        """The frame's size, or a wider one where its pixels have to be made square."""
        if self._orientation != Orientation():
            self._warn(f"{self._kind.name} stores no rotation: the pictures themselves are turned.")
        width, height = self._frame_size
        ratio = self._pixel_shape()
        if ratio in (None, 1) or self._kind.pixel_shape or self.codec in _SHAPE_IN_CODEC:
            return width, height
        coded = max(2, round(width * ratio / 2) * 2), height
        self._warn(
            f"{self.codec} in {self._kind.name} has square pixels only: {width}x{height} becomes "
            f"{coded[0]}x{coded[1]}."
        )
        return coded

    def _pixel_shape(self) -> Fraction | None:
        ratio = self._info.sample_aspect_ratio
        return 1 / ratio if ratio and self._orientation.transpose else ratio

    def _choose_time_base(self) -> Fraction:
        """The source's own wherever possible: then no timestamp is ever rounded on the way."""
        if self._kind.whole_rate or self._choice.needs_coarse_clock:
            grid = self._info.grid_rate
            near = grid is not None and self._info.rate * Fraction(98, 100) <= grid <= _MAX_GRID
            rate = grid if grid and near else self._info.rate
            return 1 / rate.limit_denominator(1001)
        return self._kind.tick if self._kind.tick and self.codec == "gif" else self._info.time_base

    def _configure(self) -> None:
        stream, context, info = self.stream, self.stream.codec_context, self._info
        context.width, context.height = self.width, self.height
        context.pix_fmt = self._choice.pixel_format
        context.time_base = stream.time_base = self.time_base
        context.thread_count = 0
        context.flags |= Flags.frame_duration
        if self._palette is None:
            tags = info.output_tags
            context.colorspace, context.color_range = tags.matrix, tags.range
            context.color_primaries, context.color_trc = tags.primaries, tags.transfer
        ratio = self._pixel_shape()
        if ratio and (self.width, self.height) == self._frame_size:
            context.sample_aspect_ratio = ratio
        if info.display_matrix and self._kind.turns:
            stream.set_display_matrix(info.display_matrix)
        if self.codec == "hevc" and self._kind.is_mov:
            context.codec_tag = "hvc1"  # Apple's players open no other
        may_reorder = self._choice.name == "libx264" or self._choice.name.endswith(NVENC)
        if may_reorder and not self._kind.early_times:
            # The first B-frames would have to be decoded before 0, and all streams be moved for that.
            context.options = {**context.options, "bf": "0"}
        if self._choice.name == "mpeg4":
            context.qscale, context.global_quality = True, _MPEG4_QUALITY
        try:
            with ordinary_priority():
                context.open()
        except (av.FFmpegError, ValueError) as error:
            reason = str(getattr(error, "strerror", None) or error).lower()
            raise OutputError(f"The encoder {self._choice.name} does not open here: {reason}.") from error

    # --- pictures --------------------------------------------------------------------------------

    def _times(self, picture: Picture) -> tuple[int, int]:
        """(pts, duration) in the encoder's time base."""
        time = picture.pts * picture.time_base
        pts = round(time / self.time_base)
        length = picture.duration * picture.time_base or 1 / self._info.rate
        duration = max(1, round((time + length) / self.time_base) - pts)
        tick = self._kind.tick or self.time_base
        if time % tick:
            step = float(tick * 1000)
            self._warn(f"{self._kind.name} counts time in steps of {step:.3g} ms: timestamps are rounded.")
        if self.times is not None and pts <= self.times.last:
            pts = self.times.last + 1
        self.times = Times(pts if self.times is None else self.times.first, pts, pts + duration)
        return pts, duration

    def _frame(self, picture: Picture) -> VideoFrame:
        frame = VideoFrame(*self._frame_size, "yuv420p")
        for plane, samples in zip(frame.planes, (picture.y, picture.u, picture.v), strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            _fill(rows[:, : plane.width], self._orientation.apply(samples))
        if self._palette is not None:
            return self._palette.apply(frame)
        tags = self._info.output_tags
        frame.colorspace, frame.color_range = tags.matrix, tags.range
        return frame

    def _warn(self, text: str) -> None:
        if text not in self._warnings:
            self._warnings.append(text)


def _fill(target: Plane, samples: Plane) -> None:
    """Copy `samples`; where `target` is a pixel larger, the last row or column is repeated."""
    height, width = samples.shape
    target[:height, :width] = samples
    if target.shape[1] > width:
        target[:height, width:] = samples[:, -1:]
    if target.shape[0] > height:
        target[height:] = target[height - 1]
