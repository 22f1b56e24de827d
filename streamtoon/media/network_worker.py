"""Work in a thread that may be left behind: what hangs in a library's hands must not hang the program."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class HangingError(Exception):
    """Work that has not come to its end in time. Its thread still has it, and takes no more."""


class Worker:
    """A thread that does one thing after the other."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], None], seconds: float) -> None:
        """Do it, and raise what it raises; HangingError when it takes longer, and ever after."""
        if self._given_up.is_set():
            raise HangingError
        self._work.put(work)
        try:
            error = self._done.get(timeout=seconds)
        except Exception as late:  # queue.Empty
            self._given_up.set()
            raise HangingError from late
        if error is not None:
            raise error

    def end(self) -> None:
        """No more work will come."""
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except BaseException as error:
                self._done.put(error)
            else:
                self._done.put(None)
            del work
