"""Listens, and closes everything when it is told to."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from streamtoon.errors import InputError, OutputError
from streamtoon.serve.access import Access
from streamtoon.serve.routes import Routes
from streamtoon.serve.settings import Settings
from streamtoon.serve.visitors import Visitors

GOODBYE = 0.5
"""Seconds that calls in progress may take when the server ends: files among them end with it."""


async def serve(
    settings: Settings,
    access: Access,
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None,
    ready: Callable[[int], object],
) -> None:
    """Serves until cancelled; `ready` is told the port.

    Raises StyleError for a style, OutputError where it cannot listen.
    """
    async with opened(settings, access) as (_, runner):
        try:
            await web.TCPSite(runner, host, port, ssl_context=tls).start()
        except OSError as error:
            raise OutputError(
                f"{host}:{port} cannot be served on ({error.strerror or error}); try another --port"
            ) from error
        ready(runner.addresses[0][1])
        await asyncio.Event().wait()


@asynccontextmanager
async def opened(settings: Settings, access: Access) -> AsyncIterator[tuple[Visitors, web.AppRunner]]:
    """A server that listens nowhere yet. Whatever ends it, it answers nobody any more, and leaves nothing."""
    visitors = Visitors(settings)
    try:
        runner = _runner(visitors, access)
        sweeper = asyncio.create_task(visitors.sweep())
        try:
            await runner.setup()
            yield visitors, runner
        finally:
            sweeper.cancel()
            await runner.cleanup()  # first: nobody begins anything while the rest is ended
    finally:
        await visitors.close()


def _runner(visitors: Visitors, access: Access) -> web.AppRunner:
    """Of the page and its calls. Requests that are none are answered, and not logged."""
    log = logging.getLogger("streamtoon.serve.http")
    log.addFilter(_is_ours)
    return web.AppRunner(
        Routes(visitors, access).app(), access_log=None, logger=log, shutdown_timeout=GOODBYE
    )


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Of a certificate and its key in PEM files, or both in one. Raises InputError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    for path in (certificate, key):
        if path is not None and not path.is_file():
            raise InputError(f"{path} is not there: --tls-cert and --tls-key name PEM files.")
    try:
        # An empty passphrase, and not a question on the terminal of a server.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        raise InputError(
            f"{certificate} and its key cannot be used ({error}): both are PEM, the key without a passphrase."
        ) from error
    return context
