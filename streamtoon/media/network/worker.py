"""Running library calls in a thread that can be abandoned, so that a hanging call
does not block the program.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class CallTimeoutError(Exception):
    """A call did not finish in time. Its thread still runs it, and accepts no more."""


class Worker:
    """A thread that runs one call after the other."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._given_up = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], None], seconds: float) -> None:
        """Run `work` and raise what it raises. Raises CallTimeoutError after `seconds`, and
        for every later call.
        """
        if self._given_up.is_set():
            raise CallTimeoutError
        self._work.put(work)
        try:
            error = self._done.get(timeout=seconds)
        except Exception as late:  # queue.Empty
            self._given_up.set()
            raise CallTimeoutError from late
        if error is not None:
            raise error

    def end(self) -> None:
        """Stop the thread after the present call."""
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
