"""Serving an application until it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from engines.errors import StreamtoonError
from streamtoon.web.address import cannot_listen

SHUTDOWN_TIMEOUT_S = 2


async def listen(app: web.Application, host: str, port: int, ready: Callable[[int], object]) -> None:
    """Serve until cancelled; calls `ready` with the port. Raises StreamtoonError if it cannot listen."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise StreamtoonError(cannot_listen(host, port, error)) from error
        ready(runner.addresses[0][1])
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
