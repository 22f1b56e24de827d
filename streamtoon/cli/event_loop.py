"""Signals that end a command with an event loop.

An exception in the middle of the loop can lose a callback. The task that waits for it then never ends, and
the command hangs. So a signal cancels the command's task instead.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from streamtoon.cli import signals


def until_signal(server: Coroutine[Any, Any, None], *, drains: bool = False) -> Coroutine[Any, Any, None]:
    """Return the work of a loop: the server, until it ends or a signal cancels it.

    Then SIGINT raises KeyboardInterrupt, and SIGTERM and SIGHUP SystemExit of 128 plus their number. SIGTERM
    is left to a server that `drains`. A second SIGINT raises at once.
    """
    if signal.getsignal(signal.SIGINT) is signals.end:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # for which asyncio puts its own
    return _until_signal(server, ("SIGHUP",) if drains else ("SIGHUP", "SIGTERM"))


async def _until_signal(server: Coroutine[Any, Any, None], names: tuple[str, ...]) -> None:
    received: list[int] = []
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None

    def stop(number: int) -> None:
        received.append(number)
        task.cancel()

    for name in names:
        if sys.platform != "win32" and signal.getsignal(signal.Signals[name]) is signals.end:
            loop.add_signal_handler(signal.Signals[name], stop, signal.Signals[name])
    try:
        await server
    except asyncio.CancelledError:
        if received:
            sys.exit(128 + received[0])
        raise
