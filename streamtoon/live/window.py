"""A window for live video, in a process of its own: see `streamtoon.live.window_process`."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from engines.frame import Frame
from streamtoon import subprocesses
from streamtoon.errors import OutputError

ALTERNATIVES = "use `streamtoon serve` to watch in a browser, or --no-window"
OPEN_TIMEOUT_S = 30.0
"""For a window to open."""
HANG_TIMEOUT_S = 10.0
"""A window that takes no data for this time hangs."""
CLOSE_TIMEOUT_S = 3.0
"""For a window to close."""
Text = tuple[str, float, float]
"""Text over the frame and its position, from 0 (left, top) to 1 (right, bottom)."""


class Window:
    """A window, whose process starts at once; `open` shows it.

    `on_shown` is called, in a thread of the window, with a frame's pts and the time.monotonic_ns() at which
    it was on screen.
    """

    def __init__(self, on_shown: Callable[[int, int], object]) -> None:
        self._on_shown = on_shown
        self._keys: deque[str] = deque()
        self._texts: Sequence[Text] = ()
        self._problem = ""
        self._ready, self._ended = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self.skipped = 0
        """Frames that were replaced by newer ones before they were shown."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the window
        self._hangs = False
        self._process = subprocess.Popen(
            subprocesses.command("streamtoon.live.window_process"),
            # Qt's warnings about fonts and plug-ins are irrelevant here.
            env=subprocesses.environment(QT_LOGGING_RULES="*.warning=false;*.info=false"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._listener = threading.Thread(target=self._listen, name="streamtoon-window", daemon=True)
        self._listener.start()

    def open(self, width: int, height: int) -> None:
        """Open it for frames of this size. Raises OutputError if it cannot, with alternatives."""
        self._send({"width": width, "height": height}, [])
        if not self._ready.wait(OPEN_TIMEOUT_S):
            raise OutputError(f"the window does not open; {ALTERNATIVES}.")
        if self._problem == "headless":
            raise OutputError(
                "this OpenCV has no window support: `pip install --force-reinstall --no-deps opencv-python` "
                f"adds it; or {ALTERNATIVES}."
            )
        if not self.is_open:
            self._raise_bugs()
            raise OutputError(f"there is no display for a window; {ALTERNATIVES}.")

    @property
    def is_open(self) -> bool:
        """Whether the window is still open."""
        return not self._ended.is_set()

    def show(self, pictures: Sequence[Frame]) -> None:
        """Show a frame, or a frame and its source. May be called in any thread."""
        first = pictures[0]
        facts = {
            "pictures": len(pictures),
            "width": first.width,
            "height": first.height,
            "pts": first.pts,
            "matrix": first.color.matrix,
            "full_range": first.color.full_range,
        }
        planes = [plane for picture in pictures for plane in (picture.y, picture.u, picture.v)]
        self._send(facts, [plane.tobytes() for plane in planes])

    def write(self, texts: Sequence[Text]) -> None:
        """Set the text over the frames. Call it regularly: it also ends a window that hangs."""
        with self._locked_input():
            changed, self._texts = texts != self._texts, texts
        if changed:
            self._send({"texts": texts}, [])

    def fill_screen(self, on: bool) -> None:
        """Switch to full screen, or back."""
        self._send({"full_screen": on}, [])

    def typed(self) -> list[str]:
        """Return the keys typed since the last call: characters, or "left", "up", "right", "down"."""
        keys = []
        while self._keys:
            keys.append(self._keys.popleft())
        return keys

    def close(self) -> None:
        """Close it. Raises OutputError if it hung, and RuntimeError if its process failed."""
        with suppress(OSError), self._locked_input() as pipe:
            pipe.close()
        try:
            self._process.wait(CLOSE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        if self._ready.is_set() and not self._errors.closed:
            self._raise_bugs()
        self._errors.close()
        if self._hangs:
            raise OutputError(
                f"the window did not respond for {HANG_TIMEOUT_S:.0f} seconds and was closed; {ALTERNATIVES}."
            )

    def _send(self, facts: Mapping[str, object], data: Sequence[bytes]) -> None:
        """Send a message; a closed window ignores it."""
        with suppress(OSError, ValueError), self._locked_input() as pipe:
            pipe.write(b"".join([json.dumps(facts).encode(), b"\n", *data]))
            pipe.flush()

    @contextmanager
    def _locked_input(self) -> Iterator[IO[bytes]]:
        """Lend the input of the window's process to one thread at a time."""
        if not self._lock.acquire(timeout=HANG_TIMEOUT_S):
            self._hangs = True
            self._process.kill()  # this wakes a thread that is blocked in a write
            self._lock.acquire()
        try:
            assert self._process.stdin is not None, "it is a pipe"
            yield self._process.stdin
        finally:
            self._lock.release()

    def _listen(self) -> None:
        assert self._process.stdout is not None, "it is a pipe"
        with self._process.stdout as lines:
            for line in lines:
                said = json.loads(line)
                if "shown" in said:
                    self.skipped = said["skipped"]
                    self._on_shown(said["shown"], said["at"])
                elif "key" in said:
                    self._keys.append(said["key"])
                else:
                    self._problem = said.get("problem", "")
                    self._ready.set()
        self._ended.set()
        self._ready.set()

    def _raise_bugs(self) -> None:
        self._errors.seek(0)
        text = self._errors.read().decode("utf-8", "replace")
        if "Traceback" in text:
            raise RuntimeError(f"the window's process failed:\n{text}")
