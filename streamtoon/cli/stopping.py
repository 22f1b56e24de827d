"""Ctrl-C and SIGTERM for work that can be gone on with: the first asks, the second insists."""

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
    stop = threading.Event()
    received = signal.SIGINT

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal received
        if stop.is_set():
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            sys.exit(128 + number)
        received = signal.Signals(number)
        stop.set()
        # Plainly: whatever this interrupts may be printing, or importing what prints.
        os.write(2, b"\nstopping when the part at hand is finished; once more stops at once\n")

    numbers = (signal.SIGINT, signal.SIGTERM)
    main = threading.current_thread() is threading.main_thread()
    before = {n: signal.getsignal(n) for n in numbers if main and signal.getsignal(n) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, handle)
    try:
        yield stop
    except UnfinishedError as error:
        say(str(error), style="yellow")
        raise typer.Exit(128 + received) from error
    except KeyboardInterrupt as error:
        interrupted()
        raise typer.Exit(128 + received) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
