"""The process of a window: shows frames from standard input and reports keys.

It is a separate process because PyAV and OpenCV for Linux each bundle an XCB library, and the second one to
connect to the display hangs or crashes in the first one's. Nothing here may import PyAV.

Input: one JSON object per line, followed by the bytes of a frame's planes; the first message has the frame
size. Output: lines of JSON. The process ends with its input.
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
    # OpenCV bundles libX11-xcb, but uses the system's libX11. If their versions differ, Qt's setting that it
    # reads the display's events itself does not reach libX11. libX11 then takes some events, and a window
    # whose map event is among them stays black. So load the system's own libX11-xcb first.
    with suppress(OSError):
        ctypes.CDLL("libX11-xcb.so.1", ctypes.RTLD_GLOBAL)

import cv2
import numpy as np

from engines.frame import ColorInfo, Frame
from streamtoon.live import overlay

TITLE = "streamtoon"
MAX_WIDTH_PIXELS = 1280
"""Of a new window."""
KEY_POLL_S = 0.005
_NAMES = ("left", "up", "right", "down")
_ARROWS = (
    dict(zip((0xFF51, 0xFF52, 0xFF53, 0xFF54), _NAMES, strict=True))  # X11
    | dict(zip((0x250000, 0x260000, 0x270000, 0x280000), _NAMES, strict=True))  # Windows
    | dict(zip((0xF702, 0xF700, 0xF703, 0xF701), _NAMES, strict=True))  # macOS
)
"""The arrow keys by their codes on each desktop."""
_KEYPAD = {0xFFAB: "+", 0xFFAD: "-", 0xFFB0: "0", 0xFF1B: "\x1b"}
"""Other X11 keys without a character of their own."""


@dataclass(slots=True)
class _Input:
    """Input that is not shown yet."""

    arrived: threading.Event = field(default_factory=threading.Event)
    state: dict[str, Any] = field(default_factory=dict)
    full_screen: bool = False
    pictures: list[Frame] | None = None
    """The cartoon, and the source if it is compared."""
    skipped: int = 0
    ended: bool = False


def main() -> None:
    """Run until the input ends or the window is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
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
    """Open a black window for frames of this size."""
    scale = max(1.0, MAX_WIDTH_PIXELS // width) if width < MAX_WIDTH_PIXELS else MAX_WIDTH_PIXELS / width
    cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
    cv2.resizeWindow(TITLE, round(width * scale), round(height * scale))
    cv2.imshow(TITLE, np.zeros((height, width, 3), np.uint8))
    cv2.waitKey(1)


class _Screen:
    """The window and its content."""

    def __init__(self, incoming: _Input) -> None:
        self._in = incoming
        self._pictures: list[Frame] = []
        self._images: list[overlay.Bytes] = []
        self._mouse: int | None = None
        self._redraw = self._fills_screen = False
        cv2.setMouseCallback(TITLE, self._moved)

    def run(self) -> None:
        while not self._in.ended:
            came = self._in.arrived.wait(KEY_POLL_S)
            self._in.arrived.clear()
            pictures, self._in.pictures = self._in.pictures, None
            if pictures is not None:
                self._images = [overlay.bgr(picture) for picture in pictures]
            if self._images and (came or self._redraw):
                self._redraw = False
                cv2.imshow(TITLE, self._composed())
            if self._in.full_screen != self._fills_screen:
                self._fills_screen = self._in.full_screen
                kind = cv2.WINDOW_FULLSCREEN if self._fills_screen else cv2.WINDOW_NORMAL
                cv2.setWindowProperty(TITLE, cv2.WND_PROP_FULLSCREEN, kind)
            key = _key(cv2.waitKeyEx(1))
            if pictures is not None:
                _say(shown=pictures[0].pts, at=time.monotonic_ns(), skipped=self._in.skipped)
            if key:
                _say(key=key)
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


def _key(code: int) -> str:
    """Return the character or arrow of a key code of OpenCV; empty for any other key."""
    if code < 0:
        return ""
    arrow = _ARROWS.get(code if sys.platform == "win32" else code & 0xFFFF)
    if arrow is not None:
        return arrow
    code &= 0xFFFF  # the higher bits are modifiers, such as Shift
    if code in _KEYPAD:
        return _KEYPAD[code]
    return chr(code) if 0 < code < 0x100 else ""


def _read(stream: IO[bytes], incoming: _Input) -> None:
    """Read all input at once, so that the parent never waits; only the newest frame is kept."""
    try:
        while (line := stream.readline()).endswith(b"\n"):
            message = json.loads(line)
            if "texts" in message:
                incoming.state = message
            elif "full_screen" in message:
                incoming.full_screen = message["full_screen"]
            else:
                pictures = [_picture(stream, message) for _ in range(message["pictures"])]
                incoming.skipped += incoming.pictures is not None
                incoming.pictures = pictures
            incoming.arrived.set()
    except EOFError:  # the parent was killed in the middle of a frame
        return
    finally:
        incoming.ended = True


def _picture(stream: IO[bytes], message: dict[str, Any]) -> Frame:
    height, width = message["height"], message["width"]
    chroma = (height + 1) // 2, (width + 1) // 2
    planes = []
    for rows, columns in ((height, width), chroma, chroma):
        data = stream.read(rows * columns)
        if len(data) < rows * columns:
            raise EOFError
        planes.append(np.frombuffer(data, np.uint8).reshape(rows, columns))
    y, u, v = planes
    color = ColorInfo(message["matrix"], message["full_range"])
    return Frame(y, u, v, message["pts"], overlay.MICROSECOND, color=color)


def _say(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
