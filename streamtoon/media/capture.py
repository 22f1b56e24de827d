"""A camera, or what stands for one, read as it comes: nothing is kept waiting, nothing looks ahead."""

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

from engines.picture import Picture, Plane
from streamtoon.errors import InputError
from streamtoon.media.convert import Converter
from streamtoon.media.devices import CaptureRequest, find_device, open_device, reason
from streamtoon.media.opening import OpenedVideo
from streamtoon.media.orientation import Orientation
from streamtoon.media.patience import LIMIT, within
from streamtoon.media.probe import MediaInfo, describe
from streamtoon.media.source import Source


class Capture(Protocol):
    """What gives live pictures."""

    name: str
    """For messages."""
    info: MediaInfo
    """Of the pictures as they are given: upright."""
    ends: bool
    """Whether the last picture is the end; a camera's is a fault."""

    def pictures(self) -> Iterator[Picture]:
        """Each as soon as it is there. Raises InputError when there are no more to come."""
        ...

    def stop(self) -> None:
        """End a wait, where that can be. May be called from any thread."""
        ...

    def close(self) -> None:
        """Give the device back."""
        ...


def open_capture(device: str, request: CaptureRequest, like: MediaInfo | None = None) -> Capture:
    """A camera by number, path or name, a video file in its own time, or FORMAT:NAME of FFmpeg's devices.

    `like` is what the same device gave before: pictures come in that size and colour.

    Raises InputError where there is none, or no picture within patience.LIMIT seconds.
    """
    form, name = find_device(device)
    if form is None:
        if request != CaptureRequest():
            raise InputError(
                f"{device} is a file, whose size and rate are its own: leave --size and --fps out."
            )
        return _File(name)
    return within(LIMIT, lambda: _Device(form, name, device, request, like), _Device.close, device)


# --- a device --------------------------------------------------------------------------------------


class _Device:
    """One of FFmpeg's devices."""

    ends = False

    def __init__(
        self, form: str, name: str, shown: str, request: CaptureRequest, like: MediaInfo | None
    ) -> None:
        self.name = shown
        self._paced = form == "lavfi"  # which makes pictures as fast as they are taken
        self._stopped = threading.Event()
        self._container = open_device(form, name, shown, request)
        try:
            self._begin(like)
        except BaseException:
            self.close()
            raise

    def _begin(self, like: MediaInfo | None) -> None:
        if not self._container.streams.video:
            raise InputError(f"{self.name} gives no pictures.")
        stream = self._stream = self._container.streams.video[0]
        context = stream.codec_context
        context.thread_type = "SLICE"  # threads for whole frames would each hold one back
        context.flags |= Flags.low_delay
        context.open()
        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            raise InputError(f"{self.name} gives no pictures.")
        self._first: VideoFrame | None = first
        info = describe(OpenedVideo(self._container, stream, self.name, None), first)
        self.info = like or replace(info, duration=None, frames=None, display_matrix=None, rotation=0)
        self._converter = Converter(replace(self.info, time_base=info.time_base), [])

    def pictures(self) -> Iterator[Picture]:
        found = self._converted()
        yield from in_time(found, self._stopped) if self._paced else found

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._container.close()

    def _converted(self) -> Iterator[Picture]:
        if self._first is not None:
            yield from self._converter.convert(self._first, self._first.pts or 0, 0)
            self._first = None
        for frame in self._frames:
            yield from self._converter.convert(frame, frame.pts or 0, 0)

    def _decode(self) -> Iterator[VideoFrame]:
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:
                    with suppress(av.error.InvalidDataError):  # one damaged picture of a USB camera
                        yield from self._stream.decode(packet)
                if self._stopped.is_set():
                    return
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{self.name} gives no more pictures: {reason(error)}.") from error


# --- a file ----------------------------------------------------------------------------------------


class _File:
    """A video file, each picture at its time, upright."""

    ends = True

    def __init__(self, path: str) -> None:
        self.name = path
        self._stopped = threading.Event()
        self._source = Source(path)
        info = self._source.info
        self._orientation = Orientation.of(info.display_matrix)
        width, height = self._orientation.size(info.width, info.height)
        self.info = replace(info, width=width, height=height, display_matrix=None, rotation=0)

    def pictures(self) -> Iterator[Picture]:
        for picture in in_time(self._source.pictures(), self._stopped):
            yield turned(picture, self._orientation)

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        self._source.close()


def in_time(pictures: Iterator[Picture], stopped: threading.Event) -> Iterator[Picture]:
    """Each picture at its own time, the first one now; one that comes late, at once. Ends when stopped."""
    began: float | None = None
    for picture in pictures:
        due = float(picture.pts * picture.time_base)
        began = time.monotonic() - due if began is None else began
        if stopped.wait(max(0.0, began + due - time.monotonic())):
            return
        yield picture


def turned(picture: Picture, orientation: Orientation) -> Picture:
    """`picture` laid that way; itself where that changes nothing."""
    if orientation == Orientation():
        return picture
    y, u, v = (_laid(plane, orientation) for plane in (picture.y, picture.u, picture.v))
    return replace(picture, y=y, u=u, v=v)


def _laid(plane: Plane, orientation: Orientation) -> Plane:
    laid = np.ascontiguousarray(orientation.apply(plane))
    laid.flags.writeable = False
    return laid


def as_live(info: MediaInfo) -> MediaInfo:
    """The facts of pictures that are timed by their arrival."""
    return replace(info, time_base=Fraction(1, 1_000_000), duration=None, frames=None, grid_rate=None)
