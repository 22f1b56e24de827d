"""Starts the server and shuts it down."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from aiohttp.http_exceptions import HttpProcessingError

from streamtoon.errors import InputError, OutputError
from streamtoon.web.address import cannot_listen
from streamtoon.web.serve.access import Access
from streamtoon.web.serve.clients import Clients
from streamtoon.web.serve.connections import ConnectionLimits, ServerRunner
from streamtoon.web.serve.log_limit import limited
from streamtoon.web.serve.routes import Routes
from streamtoon.web.serve.settings import ServeSettings

SHUTDOWN_TIMEOUT_S = 0.5
"""For calls in progress when the server ends; uploads and downloads are cut off."""
log = logging.getLogger("streamtoon.web.serve")


async def serve(
    settings: ServeSettings,
    access: Access,
    host: str,
    port: int,
    *,
    tls: ssl.SSLContext | None,
    ready: Callable[[int], object],
) -> None:
    """Serve until cancelled, or until SIGTERM has drained the server.

    Args:
        settings: Style, engine and limits.
        access: Which requests are allowed.
        host: Address to listen on.
        port: Port to listen on; 0 chooses a free one.
        tls: TLS context; None serves plain HTTP.
        ready: Called with the port once the server listens.

    Raises:
        StyleError: The style cannot be used.
        OutputError: The server cannot listen at this address.
    """
    async with opened(settings, access) as (clients, runner):
        try:
            listening = await runner.listen(host, port, tls)
        except OSError as error:
            raise OutputError(cannot_listen(host, port, error)) from error
        try:
            ready(listening.sockets[0].getsockname()[1])
            await _until_sigterm(handled=settings.drain_s > 0)
            log.warning("about to stop: waiting at most %g s for files", settings.drain_s)
            await clients.drain(settings.drain_s)
        finally:
            listening.close()


async def _until_sigterm(*, handled: bool) -> None:
    """Wait for SIGTERM, or for ever if it is not `handled` here. A second one ends the process at once."""
    told = asyncio.Event()
    if not handled:
        await told.wait()
    loop, before = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
    loop.add_signal_handler(signal.SIGTERM, told.set)
    try:
        await told.wait()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)


@asynccontextmanager
async def opened(settings: ServeSettings, access: Access) -> AsyncIterator[tuple[Clients, ServerRunner]]:
    """Open a server that does not listen yet; on exit, end all calls and remove all files."""
    visitors, limits = Clients(settings), ExitStack()
    limits.enter_context(limited("asyncio", "streamtoon.web.serve", "streamtoon.web.serve.http"))
    try:
        runner = _runner(visitors, access)
        sweeper = asyncio.create_task(visitors.sweep())
        try:
            await runner.setup()
            yield visitors, runner
        finally:
            sweeper.cancel()
            await runner.cleanup()  # first, so that no call starts during the shutdown
    finally:
        await visitors.close()
        limits.close()


def _runner(visitors: Clients, access: Access) -> ServerRunner:
    """Make the runner of the application. Invalid requests are answered, but not logged."""
    logging.getLogger("streamtoon.web.serve.http").addFilter(_is_ours)
    return ServerRunner(Routes(visitors, access).app(), ConnectionLimits(), SHUTDOWN_TIMEOUT_S)


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """Load a certificate and its key from PEM files, or both from one. Raises InputError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    for path in (certificate, key):
        if path is not None and not path.is_file():
            raise InputError(f"{path} does not exist; --tls-cert and --tls-key need PEM files.")
    try:
        # An empty passphrase: do not ask for one on the terminal of a server.
        context.load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as error:
        raise InputError(
            f"{certificate} and its key cannot be used ({error}); use PEM files and a key without passphrase."
        ) from error
    return context
