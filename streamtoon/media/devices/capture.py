"""Reading frames live from a camera or a file, without buffering or lookahead."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Protocol

import av
import numpy as np
from av.codec.context import Flags
from av.video.frame import VideoFrame

from engines.frame import Frame, Plane
from streamtoon.errors import InputError
from streamtoon.media.devices.discovery import CaptureRequest, find_device, open_device, reason
from streamtoon.media.orientation import Orientation
from streamtoon.media.reader.frame_converter import FrameConverter
from streamtoon.media.reader.open_timeout import OPEN_TIMEOUT_S, run_with_timeout
from streamtoon.media.reader.opening import OpenedVideo
from streamtoon.media.reader.probe import MediaInfo, describe
from streamtoon.media.reader.video_reader import VideoReader


class Capture(Protocol):
    """A source of live frames."""

    name: str
    """The name for messages."""
    info: MediaInfo
    """The facts of the upright frames."""
    ends: bool
    """Whether the source can end. For a camera, an end is an error."""

    def frames(self) -> Iterator[Frame]:
        """Yield each frame as soon as it arrives. Raises InputError when there are no more."""
        ...

    def stop(self) -> None:
        """End a wait if possible. Thread-safe."""
        ...

    def close(self) -> None:
        """Close the device."""
        ...


def open_capture(device: str, request: CaptureRequest, like: MediaInfo | None = None) -> Capture:
    """Open a camera by number, path or name, a video file at its own speed, or an FFmpeg device as
    FORMAT:NAME.

    With `like`, the facts of an earlier capture, frames get the same size and colour. Raises InputError if
    there is no device, or no frame within OPEN_TIMEOUT_S seconds.
    """
    form, name = find_device(device)
    if form is None:
        if request != CaptureRequest():
            raise InputError(
                f"{device} is a file, which has its own size and rate. Leave out --size and --fps."
            )
        return _File(name)
    return run_with_timeout(
        OPEN_TIMEOUT_S, lambda: _Device(form, name, device, request, like), _Device.close, device
    )


# --- a device --------------------------------------------------------------------------------------


class _Device:
    """An FFmpeg capture device."""

    ends = False

    def __init__(
        self, form: str, name: str, shown: str, request: CaptureRequest, like: MediaInfo | None
    ) -> None:
        self.name = shown
        self._paced = form == "lavfi"  # lavfi makes frames as fast as they are read
        self._stopped = threading.Event()
        self._container = open_device(form, name, shown, request)
        try:
            self._begin(like)
        except BaseException:
            self.close()
            raise

    def _begin(self, like: MediaInfo | None) -> None:
        if not self._container.streams.video:
            raise InputError(f"{self.name} delivers no frames.")
        stream = self._stream = self._container.streams.video[0]
        context = stream.codec_context
        context.thread_type = "SLICE"  # frame threads would each delay a frame
        context.flags |= Flags.low_delay
        context.open()
        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            raise InputError(f"{self.name} delivers no frames.")
        self._first: VideoFrame | None = first
        info = describe(OpenedVideo(self._container, stream, self.name, None), first)
        self.info = like or replace(info, duration=None, frames=None, display_matrix=None, rotation=0)
        self._converter = FrameConverter(replace(self.info, time_base=info.time_base), [])

    def frames(self) -> Iterator[Frame]:
        found = self._converted()
        yield from in_real_time(found, self._stopped) if self._paced else found

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._container.close()

    def _converted(self) -> Iterator[Frame]:
        if self._first is not None:
            yield from self._converter.convert(self._first, self._first.pts or 0, 0)
            self._first = None
        for frame in self._frames:
            yield from self._converter.convert(frame, frame.pts or 0, 0)

    def _decode(self) -> Iterator[VideoFrame]:
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:
                    with suppress(av.error.InvalidDataError):  # a single damaged frame of a USB camera
                        yield from self._stream.decode(packet)
                if self._stopped.is_set():
                    return
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{self.name} stopped delivering frames: {reason(error)}.") from error


# --- a file ----------------------------------------------------------------------------------------


class _File:
    """A video file, played at its own speed and upright."""

    ends = True

    def __init__(self, path: str) -> None:
        self.name = path
        self._stopped = threading.Event()
        self._source = VideoReader(path)
        info = self._source.info
        self._orientation = Orientation.of(info.display_matrix)
        width, height = self._orientation.size(info.width, info.height)
        self.info = replace(info, width=width, height=height, display_matrix=None, rotation=0)

    def frames(self) -> Iterator[Frame]:
        for picture in in_real_time(self._source.frames(), self._stopped):
            yield upright(picture, self._orientation)

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._source.close()


def in_real_time(pictures: Iterator[Frame], stopped: threading.Event) -> Iterator[Frame]:
    """Yield each frame at its own time, the first one now and late ones immediately. Ends when stopped."""
    began: float | None = None
    for picture in pictures:
        due = float(picture.pts * picture.time_base)
        began = time.monotonic() - due if began is None else began
        if stopped.wait(max(0.0, began + due - time.monotonic())):
            return
        yield picture


def upright(picture: Frame, orientation: Orientation) -> Frame:
    """Return `picture` in this orientation; unchanged if that changes nothing."""
    if orientation == Orientation():
        return picture
    y, u, v = (_laid(plane, orientation) for plane in (picture.y, picture.u, picture.v))
    return replace(picture, y=y, u=u, v=v)


def _laid(plane: Plane, orientation: Orientation) -> Plane:
    laid = np.ascontiguousarray(orientation.apply(plane))
    laid.flags.writeable = False
    return laid


def live_info(info: MediaInfo) -> MediaInfo:
    """Return `info` for frames that are timed by their arrival."""
    return replace(info, time_base=Fraction(1, 1_000_000), duration=None, frames=None, grid_rate=None)
