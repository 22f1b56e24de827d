"""Ctrl-C and SIGTERM: the first asks the work to stop, the second ends it at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from streamtoon.cli.common import interrupted, say
from streamtoon.cli.signals import end
from streamtoon.errors import UnfinishedError

STOP_MESSAGE = b"\nstopping after the current part; Ctrl-C again stops at once\n"


class Stop(threading.Event):
    """Set when the work should stop."""

    def __init__(self, said: bytes) -> None:
        super().__init__()
        self.said = said
        """What the signal handler writes on standard error; empty while a bar shows the stop."""


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Make the first SIGINT or SIGTERM set the event, and the second one end the work at once.

    An UnfinishedError ends the process with the signal's exit code. Ignored signals stay ignored. Outside of
    the main thread signals cannot be caught, and nothing changes.
    """
    received: list[int] = []
    try:
        with ended_by_signal(STOP_MESSAGE, received) as stop:
            yield stop
    except UnfinishedError as error:
        say(str(error), style="yellow")
        raise typer.Exit(128 + (received or [signal.SIGINT])[0]) from error
    except KeyboardInterrupt as error:
        interrupted()
        raise typer.Exit(128 + (received or [signal.SIGINT])[0]) from error


@contextmanager
def ended_by_signal(said: bytes = b"", received: list[int] | None = None) -> Iterator[Stop]:
    """Make the first SIGINT or SIGTERM set the event, print `said` and append itself to `received`.

    A second one raises KeyboardInterrupt or SystemExit, as without this block. Ignored signals and other
    threads are treated as in `stoppable`.
    """
    stop = Stop(said)

    def handle(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            end(number, frame)
            return
        if received is not None:
            received.append(number)
        stop.set()
        # A raw write: the interrupted code may be printing, or importing what prints.
        if stop.said:
            os.write(2, stop.said)

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
