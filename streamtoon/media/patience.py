"""Waiting for a file, and for how long: nothing that a path names may stop the program for ever."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TimedOutError
from pathlib import Path
from typing import TypeVar

from engines.memory import has_room
from streamtoon.errors import InputError, OutOfMemoryError

T = TypeVar("T")

LIMIT = 25.0
"""Seconds in which a path has to give something: less than half a minute, with the start of a run."""
_LOOK = 0.1
"""Seconds between two looks at whether anybody still wants to read."""


def within(seconds: float | None, work: Callable[[], T], late: Callable[[T], object], name: str) -> T:
    """What `work` gives, made in a thread of its own; raises what it raises.

    Raises InputError when it takes longer than `seconds` (None: any time), OutOfMemoryError where no thread
    can be had. What it gives later than that, or after an interrupt, goes to `late`. The thread may stay
    behind in the operating system's hands.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
            return
        if future.set_running_or_notify_cancel():
            future.set_result(result)
        else:
            late(result)

    if not has_room():  # Python waits for ever for a thread that want of memory ends before it begins
        raise OutOfMemoryError(f"there is not enough memory to open {name}")
    threading.Thread(target=run, name="streamtoon-open", daemon=True).start()
    try:
        return future.result(seconds)
    except TimedOutError:
        if not future.cancel():
            return future.result()  # done in this very moment
        raise InputError(f"{name} cannot be opened: it gave no answer for {seconds:.0f} seconds.") from None
    except BaseException:
        future.cancel()
        raise


class PatientFile:
    """A named pipe as a file whose `read` waits LIMIT seconds for a sign of life, and then raises InputError.

    Opening it waits for nobody. Raises OSError where it cannot be opened.
    """

    def __init__(self, path: Path, limit: float = LIMIT) -> None:
        self.name = str(path)
        self._limit = limit
        self._fd: int | None = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        self._begun = False
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def read(self, size: int = 1 << 16) -> bytes:
        """Up to `size` bytes as soon as there are any; none at the end or once stopped."""
        until = time.monotonic() + self._limit
        while not self._stopped.is_set():
            with self._lock:
                if self._fd is None:
                    return b""
                data = self._look(self._fd, size)
            if data is not None:
                self._begun = True
                return data
            if time.monotonic() > until:
                what = "stopped" if self._begun else "is a pipe that nobody writes to"
                raise InputError(f"{self.name} {what}: nothing came for {self._limit:.0f} seconds.")
        return b""

    def _look(self, fd: int, size: int) -> bytes | None:
        """Data, nothing at the end, None where nothing is there yet."""
        if not select.select([fd], [], [], _LOOK)[0]:
            return None
        try:
            data = os.read(fd, size)
        except BlockingIOError:
            return None
        if data or self._begun:
            return data
        # No writer has come yet: some systems show that as the end of the file.
        time.sleep(_LOOK)
        return None

    def stop(self) -> None:
        """End every read, now and later. May be called from any thread."""
        self._stopped.set()

    def close(self) -> None:
        """Close the pipe."""
        self.stop()
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
