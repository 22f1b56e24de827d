"""The window's own process: shows the pictures that come through standard input, says what is typed.

A process of its own, because PyAV and OpenCV for Linux each bring an XCB library, and whichever of the two
comes second to the display hangs or crashes in the other's. Nothing here may import PyAV.

In: messages of a JSON object in a line, and for a picture as many bytes as its planes have; the first says
the pictures' size. Out: lines of JSON. Ends when the input does, wherever that is.
"""

from __future__ import annotations

import ctypes
import json
import signal
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

if sys.platform == "linux":
    # OpenCV brings libX11-xcb and takes the system's libX11. Where these are of different versions, what Qt
    # says through the one, that it reads the display's events itself, does not arrive in the other: libX11
    # takes some away, and a window whose map event is among them stays black. The system's own comes first.
    with suppress(OSError):
        ctypes.CDLL("libX11-xcb.so.1", ctypes.RTLD_GLOBAL)

import cv2
import numpy as np

from engines.picture import Colour, Picture
from streamtoon.live import overlay

TITLE = "streamtoon"
WIDEST = 1280
"""Pixels of a window when it opens."""
LOOK = 0.005
"""Seconds between two looks at the keys."""


@dataclass(slots=True)
class _Input:
    """What has come and is not shown yet."""

    arrived: threading.Event = field(default_factory=threading.Event)
    state: dict[str, Any] = field(default_factory=dict)
    pictures: list[Picture] | None = None
    """The cartoon, and the source where it is wanted."""
    skipped: int = 0
    ended: bool = False


def main() -> None:
    """Run until the input ends or the window is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that feeds this one
    if not cv2.currentUIFramework():
        _say(problem="headless")
        return
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return
    size = json.loads(line)
    _open(size["width"], size["height"])
    _say(ready=True)
    incoming = _Input()
    threading.Thread(target=_read, args=(sys.stdin.buffer, incoming), daemon=True).start()
    _Screen(incoming).run()


def _open(width: int, height: int) -> None:
    """A black window for pictures of that size."""
    scale = max(1.0, WIDEST // width) if width < WIDEST else WIDEST / width
    cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
    cv2.resizeWindow(TITLE, round(width * scale), round(height * scale))
    cv2.imshow(TITLE, np.zeros((height, width, 3), np.uint8))
    cv2.waitKey(1)


class _Screen:
    """The window and what is in it."""

    def __init__(self, incoming: _Input) -> None:
        self._in = incoming
        self._pictures: list[Picture] = []
        self._images: list[overlay.Bytes] = []
        self._mouse: int | None = None
        self._redraw = False
        cv2.setMouseCallback(TITLE, self._moved)

    def run(self) -> None:
        while not self._in.ended:
            came = self._in.arrived.wait(LOOK)
            self._in.arrived.clear()
            pictures, self._in.pictures = self._in.pictures, None
            if pictures is not None:
                self._images = [overlay.bgr(picture) for picture in pictures]
            if self._images and (came or self._redraw):
                self._redraw = False
                cv2.imshow(TITLE, self._composed())
            code = cv2.waitKey(1)
            if pictures is not None:
                _say(shown=pictures[0].pts, at=time.monotonic_ns(), skipped=self._in.skipped)
            if code >= 0:
                _say(key=chr(code & 0xFF))
            if self._is_closed():
                return

    def _composed(self) -> overlay.Bytes:
        state, image = self._in.state, self._images[0].copy()
        if len(self._images) > 1:
            overlay.split(image, self._images[1], image.shape[1] // 2 if self._mouse is None else self._mouse)
        for text, across, down in state.get("texts", ()):
            overlay.write(image, text, across, down)
        return image

    def _moved(self, event: int, x: int, y: int, flags: int, data: object) -> None:
        self._mouse, self._redraw = x, len(self._images) > 1

    def _is_closed(self) -> bool:
        try:
            return bool(cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1)
        except cv2.error:
            return True


def _read(stream: IO[bytes], incoming: _Input) -> None:
    """Takes everything at once, so that the other side never waits; of pictures, the newest counts."""
    try:
        while (line := stream.readline()).endswith(b"\n"):
            message = json.loads(line)
            if "texts" in message:
                incoming.state = message
            else:
                pictures = [_picture(stream, message) for _ in range(message["pictures"])]
                incoming.skipped += incoming.pictures is not None
                incoming.pictures = pictures
            incoming.arrived.set()
    except EOFError:  # whoever sent it was killed in the middle of a picture
        return
    finally:
        incoming.ended = True


def _picture(stream: IO[bytes], message: dict[str, Any]) -> Picture:
    height, width = message["height"], message["width"]
    chroma = (height + 1) // 2, (width + 1) // 2
    planes = []
    for rows, columns in ((height, width), chroma, chroma):
        data = stream.read(rows * columns)
        if len(data) < rows * columns:
            raise EOFError
        planes.append(np.frombuffer(data, np.uint8).reshape(rows, columns))
    y, u, v = planes
    colour = Colour(message["matrix"], message["full_range"])
    return Picture(y, u, v, message["pts"], overlay.MICROSECOND, colour=colour)


def _say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
