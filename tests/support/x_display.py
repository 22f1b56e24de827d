"""A display of its own for tests, and an OpenCV that has windows."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

LIMIT = 240.0
"""Seconds after which something hangs."""


@contextmanager
def x_server(
    size: tuple[int, int], number: int | None = None
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Xvfb on a display that is free, or the one of that number: the number and its process."""
    if shutil.which("Xvfb") is None:
        pytest.skip("Xvfb is not installed (Debian: apt install xvfb)")
    reader, writer = os.pipe()
    which = [] if number is None else [f":{number}"]
    process = subprocess.Popen(
        # By default it begins anew, and throws out who is just coming, whenever its last client has left.
        ["Xvfb", *which, "-noreset", "-displayfd", str(writer), "-screen", "0", f"{size[0]}x{size[1]}x24"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as said:
            number = int(said.readline())
        yield number, process
    finally:
        process.kill()
        process.wait()


def screenshot(display: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """What is on the screen, H x W x 3 RGB."""
    options = {"video_size": f"{size[0]}x{size[1]}", "draw_mouse": "0"}
    with av.open(f":{display}", "r", format="x11grab", options=options) as screen:
        frame = next(screen.decode(video=0))
        return np.asarray(frame.to_ndarray(format="rgb24"))


def opencv_with_windows() -> str:
    """A folder for PYTHONPATH; fetched once, and kept with pip's other downloads."""
    import cv2

    if cv2.currentUIFramework():
        return ""
    version = cv2.__version__
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "streamtoon-tests"
    folder = cache / f"opencv-python-{version}-{sys.version_info.major}.{sys.version_info.minor}"
    if not folder.is_dir():
        trial = folder.with_name(f"{folder.name}.{os.getpid()}")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(trial)]
        done = subprocess.run([*pip, f"opencv-python=={version}.*"], capture_output=True, check=False)
        if done.returncode:
            shutil.rmtree(trial, ignore_errors=True)
            pytest.skip("opencv-python, whose windows are tested, cannot be installed here")
        trial.rename(folder)
    return str(folder)


def xdotool(display: int, *arguments: str) -> str:
    """One call of it."""
    if shutil.which("xdotool") is None:
        pytest.skip("xdotool is not installed (Debian: apt install xdotool)")
    environment = {**os.environ, "DISPLAY": f":{display}"}
    done = subprocess.run(
        ["xdotool", *arguments], env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    return done.stdout


class _Message(ctypes.Structure):
    """XClientMessageEvent of Xlib, with room for the rest of an XEvent."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 24),
    )


def press_close_button(display: int, window: int) -> None:
    """What a window manager sends for it: WM_DELETE_WINDOW (ICCCM section 4.2.8.1)."""
    x = ctypes.CDLL("libX11.so.6")
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XInternAtom.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
    x.XInternAtom.restype = ctypes.c_ulong
    x.XSendEvent.argtypes = [ctypes.c_void_p, ctypes.c_ulong, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
    x.XCloseDisplay.argtypes = [ctypes.c_void_p]
    connection = x.XOpenDisplay(f":{display}".encode())
    assert connection, "the display is there"
    protocols, delete = (
        x.XInternAtom(connection, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")
    )
    message = _Message(33, 0, 1, connection, window, protocols, 32, (ctypes.c_long * 24)(delete, 0))
    x.XSendEvent(connection, window, 0, 0, ctypes.byref(message))
    x.XCloseDisplay(connection)


def until(condition: Callable[[], object], what: str, seconds: float = LIMIT) -> None:
    """Wait for `condition()` to be true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)
