"""Pictures of a WebRTC connection: frames that aiortc has decoded, and frames that it will encode."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

from engines.picture import Picture
from streamtoon.media.colour import as_colour, is_full_range, read_tags
from streamtoon.media.convert import view

MICROSECOND = Fraction(1, 1_000_000)
_SMALL = 480
"""Lines of a picture that is BT.601 without saying so."""


def picture_of(frame: VideoFrame, microseconds: int) -> Picture:
    """A decoded frame with that time. Its planes are viewed, not copied, where it is 8-bit YUV 4:2:0.

    Browsers mean BT.601 where they say nothing, whatever the size.
    """
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        frame = frame.reformat(format="yuv420p")
    tags = read_tags(frame)
    colour = replace(as_colour(tags, _SMALL), full_range=is_full_range(frame.format.name, tags))
    y, u, v = (view(plane) for plane in frame.planes)
    return Picture(y, u, v, microseconds, MICROSECOND, colour=colour)


def frame_of(picture: Picture) -> VideoFrame:
    """A copy for an encoder, with the picture's time."""
    frame = VideoFrame(picture.width, picture.height, "yuv420p")
    for plane, samples in zip(frame.planes, (picture.y, picture.u, picture.v), strict=True):
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = samples
    frame.pts, frame.time_base = picture.pts, picture.time_base
    return frame
