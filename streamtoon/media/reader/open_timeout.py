"""Opening and reading paths with a timeout, so that no path can block the program for ever."""

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

from engines.common.memory import can_allocate
from streamtoon.errors import InputError, OutOfMemoryError

T = TypeVar("T")

OPEN_TIMEOUT_S = 25.0
"""Seconds to wait for a sign of life from a path. With the start of a run, less than half a minute."""
_POLL_INTERVAL_S = 0.1
"""Seconds between two checks whether reading was stopped."""


def run_with_timeout(
    seconds: float | None, work: Callable[[], T], late: Callable[[T], object], name: str
) -> T:
    """Run `work` in a separate thread and return its result; raise what it raises.

    The thread may stay behind, blocked in the operating system.

    Args:
        seconds: Timeout; None for no limit.
        work: The function to run.
        late: Called with the result if it comes after the timeout or an interrupt.
        name: The name of the file for messages.

    Raises:
        InputError: The timeout expired.
        OutOfMemoryError: There is not enough memory for a thread.
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

    if not can_allocate():  # without memory for a new thread, Thread.start() waits for ever
        raise OutOfMemoryError(f"not enough memory to open {name}")
    threading.Thread(target=run, name="streamtoon-open", daemon=True).start()
    try:
        return future.result(seconds)
    except TimedOutError:
        if not future.cancel():
            return future.result()  # it finished at this very moment
        raise InputError(f"opening {name} timed out after {seconds:.0f} seconds.") from None
    except BaseException:
        future.cancel()
        raise


class TimeoutPipe:
    """A named pipe as a file object. `read` raises InputError after a timeout without data.

    Opening does not wait for a writer. Raises OSError if the pipe cannot be opened.
    """

    def __init__(self, path: Path, limit: float = OPEN_TIMEOUT_S) -> None:
        self.name = str(path)
        self._limit = limit
        self._fd: int | None = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        self._begun = False
        self._stopped = threading.Event()
        self._lock = threading.Lock()

    def read(self, size: int = 1 << 16) -> bytes:
        """Return up to `size` bytes as soon as there are any; none at the end or once stopped."""
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
                raise InputError(f"{self.name} {what}: no data arrived for {self._limit:.0f} seconds.")
        return b""

    def _look(self, fd: int, size: int) -> bytes | None:
        """Return data, empty at the end; None if there is none yet."""
        if not select.select([fd], [], [], _POLL_INTERVAL_S)[0]:
            return None
        try:
            data = os.read(fd, size)
        except BlockingIOError:
            return None
        if data or self._begun:
            return data
        # No writer has connected yet. Some systems report that as end of file.
        time.sleep(_POLL_INTERVAL_S)
        return None

    def stop(self) -> None:
        """End every read, now and later. Thread-safe."""
        self._stopped.set()

    def close(self) -> None:
        """Close the pipe."""
        self.stop()
        with self._lock:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
