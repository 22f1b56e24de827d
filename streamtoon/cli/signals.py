"""Signal handlers that raise an exception in the main thread, but never in the middle of an import.

An exception raised during an import is often lost: extension modules swallow it, report a missing package
instead, or end the process with a traceback. The same holds for code evaluated from a string, as in
`dataclasses` and `inspect`: after a KeyboardInterrupt there, CPython ends the process by the signal, even if
the exception is caught. So the handler waits until neither is running.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

RETRY_INTERVAL_S = 0.02
"""How soon a signal that has to wait is delivered again."""


def listen() -> None:
    """Make SIGINT raise KeyboardInterrupt, and SIGTERM and SIGHUP SystemExit of 128 plus their number.

    Exceptions unwind the stack, so no temporary file is left. Ignored signals stay ignored: nohup relies on
    this to keep a run alive when its terminal closes.
    """
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, end)


def end(number: int, frame: FrameType | None) -> None:
    """Handle a signal: raise its exception, now or after the import or evaluation that it interrupts."""
    if hasattr(signal, "setitimer") and _has_to_wait(frame):
        signal.signal(signal.SIGALRM, lambda _, frame: end(number, frame))
        signal.setitimer(signal.ITIMER_REAL, RETRY_INTERVAL_S)
    elif number == signal.SIGINT:
        raise KeyboardInterrupt
    else:
        sys.exit(128 + number)


def _has_to_wait(frame: FrameType | None) -> bool:
    while frame is not None:
        is_evaluated = frame.f_code.co_filename == "<string>" and frame.f_back is not None
        if is_evaluated or frame.f_globals.get("__name__") == "importlib._bootstrap":
            return True
        frame = frame.f_back
    return False
