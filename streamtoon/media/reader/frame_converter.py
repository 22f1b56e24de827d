"""Converting decoded frames to 8-bit YUV 4:2:0, through libavfilter where needed.

A frame that is already in this format costs nothing: its planes are viewed, not copied, and live as long as
the views do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import av
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane

from engines.frame import Frame, Plane
from streamtoon.errors import UnsupportedFormatError
from streamtoon.media.color import is_full_range, read_tags, source_matrix
from streamtoon.media.reader.filter_graph import OutputFormat, Shape, build_graph, has_alpha, is_plain
from streamtoon.media.reader.probe import MediaInfo
from streamtoon.media.side_data import dropped_data_warnings

_GREY_IMAGES = ("png", "apng", "mjpeg", "jpeg2000", "tiff", "bmp", "webp")
"""Codecs whose grey spans 0..255 unless tagged. Grey of video codecs is limited-range luma."""


class FrameConverter:
    """Converts the frames of one stream to one size and colour, in order, one for one.

    `warnings` gets each loss or change once.
    """

    def __init__(self, info: MediaInfo, warnings: list[str]) -> None:
        self._info = info
        self._warnings = warnings
        self._target = OutputFormat(info.width, info.height, info.color, over_white=_is_page_format(info))
        self._first: Shape | None = None
        self._shape: Shape | None = None
        self._graph: Graph | None = None
        self._interlaced = False
        self._pushed = 0
        self._times: deque[tuple[int, int, bool]] = deque()

    def convert(self, frame: VideoFrame, pts: int, duration: int) -> Iterator[Frame]:
        """Yield the frames that are ready once `frame` is in: one, or none while a filter looks ahead.

        Raises UnsupportedFormatError for a frame that no filter can convert.
        """
        for said in dropped_data_warnings(frame, self._info.video_codec):
            self._warn(said)
        shape = self._shape_of(frame)
        if shape != self._shape:
            yield from self.flush()
            self._tell(shape)
            self._shape = shape
            with self._translate_errors(shape):
                self._graph = None if is_plain(shape, self._target) else build_graph(shape, self._target)
        self._times.append((pts, duration, frame.key_frame))
        if self._graph is None:
            yield self._picture(frame)
            return
        self._pushed += 1
        frame.pts = self._pushed
        # The graph knows these facts. A frame must not contradict it or carry values that no filter supports.
        frame.colorspace, frame.color_range = 2, 0
        frame.color_primaries, frame.color_trc = 2, 2
        with self._translate_errors(shape):
            self._graph.vpush(frame)
        yield from self._pull(self._graph, shape)

    @property
    def is_alone(self) -> bool:
        """Whether the latest frame was converted independently of its neighbours."""
        return self._shape is None or not self._shape.interlaced

    def flush(self) -> Iterator[Frame]:
        """Yield the frames that a filter still holds."""
        if self._graph is not None and self._shape is not None:
            with self._translate_errors(self._shape):
                self._graph.vpush(None)
            yield from self._pull(self._graph, self._shape)
        self._graph = self._shape = None

    def _pull(self, graph: Graph, shape: Shape) -> Iterator[Frame]:
        while True:
            try:
                with self._translate_errors(shape):
                    frame = graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield self._picture(frame)

    @contextmanager
    def _translate_errors(self, shape: Shape) -> Iterator[None]:
        try:
            yield
        except (av.error.BlockingIOError, av.error.EOFError):
            raise
        except (av.FFmpegError, ValueError) as error:
            kind = f"{shape.width}x{shape.height} {shape.format}"
            raise UnsupportedFormatError(
                f"{self._info.path} contains frames that cannot be converted ({kind})."
            ) from error

    def _picture(self, frame: VideoFrame) -> Frame:
        # Timestamps bypass the filters: frame n out is frame n in.
        pts, duration, is_key = self._times.popleft()
        if frame.format.name.startswith("gray"):
            y, u, v = _grey_planes(frame)
        elif frame.format.name == "nv12":
            y, u, v = _nv12_planes(frame)
        else:
            y, u, v = (view(plane) for plane in frame.planes)
        return Frame(y, u, v, pts, self._info.time_base, duration, self._info.color, is_key)

    def _shape_of(self, frame: VideoFrame) -> Shape:
        tags, name = read_tags(frame), frame.format.name
        if frame.interlaced_frame:
            self._interlaced = True
        full = is_full_range(name, tags)
        if name.startswith("gray") and tags.range == 0:
            full = self._info.video_codec in _GREY_IMAGES
        matrix = source_matrix(tags, frame.height)
        if self._first is not None and tags.hdr == self._first.hdr:
            # Frames with fewer tags than the first one are taken to be like it.
            matrix = matrix if tags.matrix != 2 else self._first.matrix
            full = full if tags.range or name.startswith("yuvj") else self._first.full
        return Shape(name, frame.width, frame.height, matrix, full, tags.hdr, self._interlaced)

    def _tell(self, shape: Shape) -> None:
        """Warn once about conversions that the user may not expect."""
        first = self._first
        if first is None:
            self._first = first = shape
            bits = self._info.bit_depth
            if shape.hdr:
                self._warn(f"The video is HDR ({shape.hdr}): it is tone-mapped to standard range (BT.709).")
            elif bits > 8:
                self._warn(f"The video has {bits} bits per channel: the output has 8.")
            if has_alpha(shape.format) and shape.format not in ("pal8", "bgra"):
                ground = "white" if self._target.over_white else "black"
                self._warn(f"The video has transparent parts: they are put on {ground}.")
        if shape.interlaced:
            self._warn("The video is interlaced: it is deinterlaced, and the output is progressive.")
        if replace(shape, interlaced=first.interlaced) != first:
            self._warn(
                "The size or format of the frames changes: all are converted to "
                f"{self._target.width}x{self._target.height}."
            )

    def _warn(self, text: str) -> None:
        if text not in self._warnings:
            self._warnings.append(text)


def view(plane: VideoPlane, width: int | None = None) -> Plane:
    """Return the samples of an 8-bit plane as a read-only H x W array, without copying.

    `width` is the number of samples per row, if not one per pixel. The array keeps the frame alive. It is
    read-only, because decoders predict later frames from it.
    """
    stride = plane.line_size
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, abs(stride))
    samples: Plane = (rows[::-1] if stride < 0 else rows)[:, : width or plane.width]
    samples.flags.writeable = False
    return samples


def _grey_planes(frame: VideoFrame) -> tuple[Plane, Plane, Plane]:
    """Return luma as it is (or rounded to 8 bits) and neutral chroma.

    Done here because swscale takes all grey as full range, which is wrong for video codecs.
    """
    bits = frame.format.components[0].bits
    if bits == 8:
        y = view(frame.planes[0])
    else:
        order = ">u2" if frame.format.name.endswith("be") else "<u2"
        rows = np.frombuffer(memoryview(frame.planes[0]), order).reshape(frame.height, -1)[:, : frame.width]
        y = np.minimum((rows.astype(np.uint32) + (1 << (bits - 9))) >> (bits - 8), 255).astype(np.uint8)
    neutral = np.full(((frame.height + 1) // 2, (frame.width + 1) // 2), 128, np.uint8)
    return y, neutral, neutral


def _nv12_planes(frame: VideoFrame) -> tuple[Plane, Plane, Plane]:
    """Return luma as it is and the interleaved U and V separated. Cameras and hardware decoders give NV12."""
    luma, chroma = frame.planes
    pairs = view(chroma, 2 * chroma.width)
    return view(luma), np.ascontiguousarray(pairs[:, 0::2]), np.ascontiguousarray(pairs[:, 1::2])


def _is_page_format(info: MediaInfo) -> bool:
    return info.container.split("_")[0] in ("gif", "apng", "webp")
