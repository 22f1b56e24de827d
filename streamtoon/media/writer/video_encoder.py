"""Encoding frames with the sizes, times, tags and rotation of the source."""

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

from engines.frame import Frame, Plane
from streamtoon.errors import OutputError
from streamtoon.media.orientation import Orientation
from streamtoon.media.reader.probe import MediaInfo
from streamtoon.media.writer.avi_timing import MAX_GRID_FPS
from streamtoon.media.writer.codec_support import SUPPORTED_CODECS
from streamtoon.media.writer.coded_frame import CodedFrame
from streamtoon.media.writer.containers import ContainerKind
from streamtoon.media.writer.encoders import (
    NVENC,
    EncoderChoice,
    add_video,
    open_failure,
    without_realtime_priority,
)
from streamtoon.media.writer.gif_palette import Palette

_MPEG4_QUALITY = 3
"""Quantiser of MPEG-4 Part 2, from 1 (best) to 31."""
_SHAPE_IN_CODEC = ("h264", "hevc", "mpeg4")
"""Codecs that store the sample aspect ratio themselves."""
_MAX_REORDER_FRAMES = 1_000_000
"""Frames between a decoding time and the presentation time, far beyond those of any encoder."""
_MAX_CLOCK_ERROR_S = Fraction(1, 1000)
"""Seconds of rounding by a container's clock that cause a warning. Matroska always rounds by half of this."""
_MAX_GRID_ERROR_S = Fraction(1, 100)
"""Seconds of rounding that cause a warning in a container that counts frames. Smaller errors are invisible,
and mostly correct the rounding of the source's clock."""


@dataclass(slots=True)
class FrameTimes:
    """The position of a video in its stream's time base."""

    first: int
    """Timestamp of the first frame."""
    last: int
    """Timestamp of the latest frame."""
    until: int
    """End of the latest frame."""


class VideoEncoder:
    """Encodes frames of one size for a stream of `container`.

    Args:
        container: The output.
        kind: The output's format.
        choice: The encoder.
        info: The facts of the source.
        size: Width and height of the frames.
        warnings: Gets a warning for each change.
        times: The position, if frames of the same video were encoded before.
    """

    def __init__(
        self,
        container: OutputContainer,
        kind: ContainerKind,
        choice: EncoderChoice,
        info: MediaInfo,
        size: tuple[int, int],
        warnings: list[str],
        times: FrameTimes | None = None,
    ) -> None:
        self._container, self._kind, self._info, self._warnings = container, kind, info, warnings
        self._choice = choice
        self._announced = size
        self._orientation = Orientation() if kind.turns else Orientation.of(info.display_matrix)
        self._frame_size = self._even(*self._orientation.size(*size))
        self.width, self.height = self._coded_size()
        """Pixels as coded."""
        self.time_base = self._choose_time_base()
        """Seconds per unit of the packets' timestamps."""
        self._lead = info.start if kind.whole_rate else Fraction(0)
        """Seconds at the beginning that a container without timestamps cannot store."""
        self.frames = 0
        """Number of frames written so far."""
        self.times = times
        """None before the first frame."""
        self.rounding = Fraction(0)
        """Maximum error of a frame's time in seconds."""
        self.has_adopted = False
        """Whether the frames were already encoded, so that the encoder holds none."""
        self._palette = Palette(self.width, self.height, info.color) if choice.name == "gif" else None
        self.stream: VideoStream = add_video(container, kind, choice, info.rate)
        taken = SUPPORTED_CODECS.get(kind.format)
        if taken is not None and self.codec not in taken.video:
            self._warn(f"Most players do not support {self.codec} in {kind.name}: test the file with yours.")
        self._configure()

    @property
    def codec(self) -> str:
        """The codec's name, e.g. "h264"."""
        return self._choice.codec

    @property
    def duration(self) -> Fraction:
        """Seconds from the start of the first frame to the end of the last."""
        return (self.times.until - self.times.first) * self.time_base if self.times else Fraction(0)

    def encode(self, picture: Frame, *, as_key: bool = False) -> Sequence[Packet[VideoStream]]:
        """Encode one frame and return the available packets. `as_key` makes it a key frame.

        Raises ValueError for a frame of another size.
        """
        if (picture.width, picture.height) != self._announced:
            raise ValueError(f"{picture} does not have the announced size {self._announced}")
        pts, duration = self._times(picture)
        frame = self._frame(picture)
        frame.pts, frame.time_base, frame.duration = pts, self.time_base, duration
        if as_key:
            frame.pict_type = PictureType.I
        self.frames += 1
        return self._timed(self.stream.encode(frame))

    def adopt(self, coded: CodedFrame) -> Packet[VideoStream]:
        """Return a packet for a frame that was encoded before with the same settings."""
        packet: Packet[Any] = Packet(coded.data)
        packet.stream, packet.time_base = self.stream, self.time_base
        packet.pts, packet.duration, packet.is_keyframe = coded.pts, coded.duration, coded.is_key
        packet.dts = coded.dts
        until = coded.pts + coded.duration
        if self.times is None:
            self.times = FrameTimes(coded.pts, coded.pts, until)
        else:
            first, last = min(self.times.first, coded.pts), max(self.times.last, coded.pts)
            self.times = FrameTimes(first, last, max(self.times.until, until))
        self.frames += 1
        self.has_adopted = True
        return packet

    def drain(self) -> Sequence[Packet[VideoStream]]:
        """Return what the encoder still holds. Nothing can be encoded afterwards."""
        return self._timed(self.stream.encode(None))

    def warn_about_rounding(self) -> None:
        """Warn at the end if frame times were rounded noticeably."""
        if self.rounding <= (_MAX_GRID_ERROR_S if self._kind.whole_rate else _MAX_CLOCK_ERROR_S):
            return
        step = float((self._kind.tick or self.time_base) * 1000)
        self._warn(
            f"{self._kind.name} stores time in steps of {step:.3g} ms: frame times are rounded by up to "
            f"{float(self.rounding):.2g} s."
        )

    def _timed(self, packets: Sequence[Packet[VideoStream]]) -> Sequence[Packet[VideoStream]]:
        """Return `packets` with valid decoding times: x265 leaves one or two unset."""
        for packet in packets:
            if packet.pts is not None and packet.dts is not None:
                early = (packet.pts - packet.dts) * self.time_base
                if not 0 <= early <= _MAX_REORDER_FRAMES / self._info.rate:
                    packet.dts = packet.pts
        return packets

    # --- setup -------------------------------------------------------------------------------------

    def _even(self, width: int, height: int) -> tuple[int, int]:
        if self._choice.takes_odd_sizes or (width % 2 == 0 and height % 2 == 0):
            return width, height
        even = width + width % 2, height + height % 2
        self._warn(
            f"{self.codec} needs an even size: {width}x{height} becomes {even[0]}x{even[1]}, with the last "
            "row or column repeated."
        )
        return even

    def _coded_size(self) -> tuple[int, int]:
        """Return the coded size: wider than the frame if its pixels have to be made square."""
        if self._orientation != Orientation():
            self._warn(f"{self._kind.name} cannot store a rotation: the frames themselves are rotated.")
        width, height = self._frame_size
        ratio = self._pixel_shape()
        if ratio in (None, 1) or self._kind.pixel_shape or self.codec in _SHAPE_IN_CODEC:
            return width, height
        coded = max(2, round(width * ratio / 2) * 2), height
        self._warn(
            f"{self.codec} in {self._kind.name} supports only square pixels: {width}x{height} becomes "
            f"{coded[0]}x{coded[1]}."
        )
        return coded

    def _pixel_shape(self) -> Fraction | None:
        ratio = self._info.sample_aspect_ratio
        return 1 / ratio if ratio and self._orientation.transpose else ratio

    def _choose_time_base(self) -> Fraction:
        """Return the source's own time base where possible, so that no timestamp is rounded."""
        if self._kind.whole_rate or self._choice.needs_coarse_clock:
            grid = self._info.grid_rate
            near = grid is not None and grid <= MAX_GRID_FPS
            rate = grid if grid and near else max(self._info.rate, Fraction(MAX_GRID_FPS))
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
            context.codec_tag = "hvc1"  # Apple's players require it
        may_reorder = self._choice.name == "libx264" or self._choice.name.endswith(NVENC)
        if may_reorder and not self._kind.early_times:
            # The first B-frames would be decoded before 0, and all streams would have to move for that.
            context.options = {**context.options, "bf": "0"}
        if self._choice.name == "mpeg4":
            context.qscale, context.global_quality = True, _MPEG4_QUALITY
        try:
            with without_realtime_priority():
                context.open()
        except (av.FFmpegError, ValueError) as error:
            raise OutputError(open_failure(self._choice, error)) from error

    # --- frames ------------------------------------------------------------------------------------

    def _times(self, picture: Frame) -> tuple[int, int]:
        """Return (pts, duration) in the encoder's time base."""
        time = picture.pts * picture.time_base - self._lead
        pts = round(time / self.time_base)
        length = picture.duration * picture.time_base or 1 / self._info.rate
        duration = max(1, round((time + length) / self.time_base) - pts)
        if self.times is not None and pts <= self.times.last:
            pts = self.times.last + 1
        shown = pts * self.time_base
        if self._kind.tick is not None:
            shown = round(shown / self._kind.tick) * self._kind.tick
        self.rounding = max(self.rounding, abs(shown - time))
        self.times = FrameTimes(pts if self.times is None else self.times.first, pts, pts + duration)
        return pts, duration

    def _frame(self, picture: Frame) -> VideoFrame:
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
    """Copy `samples`. Where `target` is a pixel larger, repeat the last row or column."""
    height, width = samples.shape
    target[:height, :width] = samples
    if target.shape[1] > width:
        target[:height, width:] = samples[:, -1:]
    if target.shape[0] > height:
        target[height:] = target[height - 1]
