"""Ctrl-C and SIGTERM for work that goes on later, or has no end: the first asks, the second insists."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from streamtoon.cli.common import interrupted, say
from streamtoon.errors import UnfinishedError


@contextmanager
def stoppable() -> Iterator[threading.Event]:
    """Within this block the first SIGINT or SIGTERM sets the event, and a second ends the work at once.

    An UnfinishedError ends the process as that signal would. Signals that are ignored stay ignored, and
    outside of the main thread, where signals cannot be caught, nothing is changed.
    """
    received: list[int] = []
    try:
        said = b"\nstopping when the part at hand is finished; once more stops at once\n"
        with ended_by_signal(said, received) as stop:
            yield stop
    except UnfinishedError as error:
        say(str(error), style="yellow")
        raise typer.Exit(128 + (received or [signal.SIGINT])[0]) from error
    except KeyboardInterrupt as error:
        interrupted()
        raise typer.Exit(128 + (received or [signal.SIGINT])[0]) from error


@contextmanager
def ended_by_signal(said: bytes = b"", received: list[int] | None = None) -> Iterator[threading.Event]:
    """Within this block the first SIGINT or SIGTERM sets the event, says `said` and is put in `received`.

    A second raises KeyboardInterrupt or SystemExit, as without this block. Ignored signals and other threads
    as for `stoppable`.
    """
    stop = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            sys.exit(128 + number)
        if received is not None:
            received.append(number)
        stop.set()
        # Plainly: whatever this interrupts may be printing, or importing what prints.
        os.write(2, said)

    numbers = (signal.SIGINT, signal.SIGTERM)
    main = threading.current_thread() is threading.main_thread()
    before = {n: signal.getsignal(n) for n in numbers if main and signal.getsignal(n) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, handle)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
