"""Frames of a WebRTC connection: converting those that aiortc decodes and those that it encodes."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

from engines.frame import Frame
from streamtoon.media.color import color_info, is_full_range, read_tags
from streamtoon.media.reader.frame_converter import view

MICROSECOND = Fraction(1, 1_000_000)
_SD_LINES = 480
"""Lines of a frame that counts as BT.601 if untagged."""


def frame_from_av(frame: VideoFrame, microseconds: int) -> Frame:
    """Convert a decoded frame, with a time in microseconds. Planes of 8-bit YUV 4:2:0 are viewed, not copied.

    Browsers mean BT.601 if they send no tag, at any size.
    """
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        frame = frame.reformat(format="yuv420p")
    tags = read_tags(frame)
    color = replace(color_info(tags, _SD_LINES), full_range=is_full_range(frame.format.name, tags))
    y, u, v = (view(plane) for plane in frame.planes)
    return Frame(y, u, v, microseconds, MICROSECOND, color=color)


def av_from_frame(picture: Frame) -> VideoFrame:
    """Return a copy for an encoder, with the same time."""
    frame = VideoFrame(picture.width, picture.height, "yuv420p")
    for plane, samples in zip(frame.planes, (picture.y, picture.u, picture.v), strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = samples
    frame.pts, frame.time_base = picture.pts, picture.time_base
    return frame
