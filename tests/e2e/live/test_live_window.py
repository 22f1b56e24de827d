"""The window's process, when what it talks to is gone or it hangs itself."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from x_display import LIMIT, opencv_with_windows, screenshot, until, x_server

from engines.frame import Frame
from streamtoon import subprocesses
from streamtoon.errors import OutputError
from streamtoon.live import window as live_window
from streamtoon.live.window import Window

pytestmark = pytest.mark.realtime

WIDTH, HEIGHT = 640, 360


@pytest.fixture
def _display(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with x_server((800, 600)) as (number, _):
        monkeypatch.setenv("DISPLAY", f":{number}")
        monkeypatch.setenv("PYTHONPATH", opencv_with_windows())
        yield


def _picture(number: int) -> Frame:
    chroma = (HEIGHT // 2, WIDTH // 2)
    y, u, v = (np.full(shape, 128, np.uint8) for shape in ((HEIGHT, WIDTH), chroma, chroma))
    return Frame(y, u, v, number, Fraction(1, 1_000_000))


_FACTS = {"pictures": 1, "width": WIDTH, "height": HEIGHT, "pts": 0, "matrix": "bt709", "full_range": False}


@pytest.mark.usefixtures("_display")
@pytest.mark.parametrize(
    "last",
    [
        b"",
        b'{"texts": [',
        json.dumps(_FACTS).encode() + b"\n",
        json.dumps(_FACTS).encode() + b"\n" + bytes(WIDTH * HEIGHT + 5),
    ],
)
def test_the_viewer_ends_wherever_its_input_does(last: bytes) -> None:
    size = json.dumps({"width": WIDTH, "height": HEIGHT}).encode() + b"\n"
    done = subprocess.run(
        subprocesses.command("streamtoon.live.window_process"),
        env=subprocesses.environment(QT_LOGGING_RULES="*.warning=false;*.info=false"),
        input=size + last,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0
    assert b"ready" in done.stdout
    assert b"Traceback" not in done.stderr


@pytest.mark.usefixtures("_display")
def test_a_viewer_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    window = Window(lambda pts, at: shown.append(pts))
    try:
        window.open(WIDTH, HEIGHT)
        window.show([_picture(0)])
        until(lambda: shown, "nothing is shown")
        monkeypatch.setattr(live_window, "HANG_TIMEOUT_S", 1.0)
        os.kill(window._process.pid, signal.SIGSTOP)

        def show() -> None:
            for number in range(1, 100):
                window.show([_picture(number)])

        shows = threading.Thread(target=show, daemon=True)
        shows.start()

        def is_ended() -> bool:
            window.write([])
            return not window.is_open

        until(is_ended, "it is waited for")
        shows.join(LIMIT)
        assert not shows.is_alive()
    finally:
        with pytest.raises(OutputError, match="did not respond"):
            window.close()


@pytest.mark.usefixtures("_display")
def test_closing_does_not_wait_for_a_viewer_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window(lambda pts, at: None)
    window.open(WIDTH, HEIGHT)
    monkeypatch.setattr(live_window, "CLOSE_TIMEOUT_S", 1.0)
    os.kill(window._process.pid, signal.SIGSTOP)
    closes = threading.Thread(target=window.close, daemon=True)
    closes.start()
    closes.join(LIMIT)
    assert not closes.is_alive()
    assert window._process.poll() == -signal.SIGKILL


def test_a_display_that_halts_now_and_then_still_shows_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window on it was black for ever one time in six: see the viewer's first lines."""
    dice = random.Random(0)
    halts = threading.Event()
    with x_server((800, 600)) as (number, server):

        def halt() -> None:
            while not halts.wait(dice.uniform(0.01, 0.2)):
                server.send_signal(signal.SIGSTOP)
                time.sleep(dice.uniform(0.02, 0.4))
                server.send_signal(signal.SIGCONT)

        monkeypatch.setenv("DISPLAY", f":{number}")
        monkeypatch.setenv("PYTHONPATH", opencv_with_windows())
        halting = threading.Thread(target=halt)
        halting.start()
        try:
            for _ in range(12):
                window = Window(lambda pts, at: None)
                window.open(WIDTH, HEIGHT)

                def is_seen(window: Window = window) -> bool:
                    window.show([_picture(0)])
                    return bool(screenshot(number, (800, 600))[280:320, 380:420].mean() > 100)

                until(is_seen, "the window stays black", seconds=30)
                window.close()
        finally:
            halts.set()
            halting.join()
