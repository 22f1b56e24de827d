"""A window for live pictures, kept by a process of its own: see `streamtoon.live.viewer`."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from engines.picture import Picture
from streamtoon import children
from streamtoon.errors import OutputError

WITHOUT = "`streamtoon serve` shows it in a browser, and --no-window does without"
SECONDS = 30.0
"""That a window gets to open."""
PATIENCE = 10.0
"""Seconds in which a window takes what it is sent; one that does not hangs."""
CLOSING = 3.0
"""Seconds that it gets to close."""
Text = tuple[str, float, float]
"""What is written over the picture, and where: 0, left and top, to 1, right and bottom."""


class Window:
    """Gets ready while other things are done; `open` opens it.

    `on_shown` is called, in a thread of the window's, with a picture's pts and the time.monotonic_ns() at
    which it was on the screen.
    """

    def __init__(self, on_shown: Callable[[int, int], object]) -> None:
        self._on_shown = on_shown
        self._keys: deque[str] = deque()
        self._texts: Sequence[Text] = ()
        self._problem = ""
        self._ready, self._ended = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self.skipped = 0
        """Pictures that a newer one took the place of before they were on the screen."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the window
        self._hangs = False
        self._process = subprocess.Popen(
            children.command("streamtoon.live.viewer"),
            # Qt's warnings about fonts and plug-ins concern nobody here.
            env=children.environment(QT_LOGGING_RULES="*.warning=false;*.info=false"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._listener = threading.Thread(target=self._listen, name="streamtoon-window", daemon=True)
        self._listener.start()

    def open(self, width: int, height: int) -> None:
        """For pictures of that size. Raises OutputError where there can be none, with the ways out."""
        self._send({"width": width, "height": height}, [])
        if not self._ready.wait(SECONDS):
            raise OutputError(f"the window does not open: {WITHOUT}.")
        if self._problem == "headless":
            raise OutputError(
                "this OpenCV comes without windows: `pip install --force-reinstall --no-deps opencv-python` "
                f"brings them; {WITHOUT}."
            )
        if not self.is_open:
            self._told_of_bugs()
            raise OutputError(f"there is no display that a window could open on: {WITHOUT}.")

    @property
    def is_open(self) -> bool:
        """False once somebody has closed it."""
        return not self._ended.is_set()

    def show(self, pictures: Sequence[Picture]) -> None:
        """One picture, or that with its source beside it. May be called in any thread."""
        first = pictures[0]
        facts = {
            "pictures": len(pictures),
            "width": first.width,
            "height": first.height,
            "pts": first.pts,
            "matrix": first.colour.matrix,
            "full_range": first.colour.full_range,
        }
        planes = [plane for picture in pictures for plane in (picture.y, picture.u, picture.v)]
        self._send(facts, [plane.tobytes() for plane in planes])

    def write(self, texts: Sequence[Text]) -> None:
        """What stands over the pictures from now on. To be called all the time: ends a window that hangs."""
        with self._turn():
            changed, self._texts = texts != self._texts, texts
        if changed:
            self._send({"texts": texts}, [])

    def typed(self) -> list[str]:
        """What has been typed since the last call, a character each."""
        keys = []
        while self._keys:
            keys.append(self._keys.popleft())
        return keys

    def close(self) -> None:
        """Close it. Raises OutputError for one that hung, RuntimeError for one with a fault of its own."""
        with suppress(OSError), self._turn() as pipe:
            pipe.close()
        try:
            self._process.wait(CLOSING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        if self._ready.is_set() and not self._errors.closed:
            self._told_of_bugs()
        self._errors.close()
        if self._hangs:
            raise OutputError(
                f"the window has not moved for {PATIENCE:.0f} seconds and is closed: {WITHOUT}."
            )

    def _send(self, facts: Mapping[str, object], data: Sequence[bytes]) -> None:
        """A window that is closed takes nothing more, which `is_open` says."""
        with suppress(OSError, ValueError), self._turn() as pipe:
            pipe.write(b"".join([json.dumps(facts).encode(), b"\n", *data]))
            pipe.flush()

    @contextmanager
    def _turn(self) -> Iterator[IO[bytes]]:
        """The viewer's input, for one thread at a time."""
        if not self._lock.acquire(timeout=PATIENCE):
            self._hangs = True
            self._process.kill()  # which wakes the thread that waits in the middle of a picture
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

    def _told_of_bugs(self) -> None:
        self._errors.seek(0)
        text = self._errors.read().decode("utf-8", "replace")
        if "Traceback" in text:
            raise RuntimeError(f"the window's process failed:\n{text}")
