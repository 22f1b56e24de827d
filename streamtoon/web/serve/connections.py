"""Limits on connections: how many, and how long each may take to send a request."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from streamtoon.web.serve.access import HEADERS

HEAD_TIMEOUT_S = 15.0
"""For the head of a request to arrive: the first one and each later one."""
MAX_CONNECTIONS = 512
"""At a time; fewer if the process may open few files only."""
MIN_DOWNLOAD_BYTES_S = 50_000
"""Minimum average speed of a download, after the first `HEAD_TIMEOUT_S` seconds."""
BACKLOG = 128
"""Connections in the accept queue of the system."""
_RESERVED_FILES = 256
"""Open files for other uses: sockets of live sessions, uploads, libraries."""
_MIN_CONNECTIONS = 32
log = logging.getLogger("streamtoon.web.serve.http")


class Guest(Protocol):
    """One connection."""

    host: str
    is_busy: bool
    """Whether a request is being served; a busy connection is not closed to make room."""

    def abort(self) -> None:
        """Close it at once."""


class ConnectionLimits:
    """Admits connections. If there are too many, an idle one is closed to make room.

    That is the oldest idle connection of the host that holds the most of them, so half-open connections,
    however many, keep no other host out.
    """

    def __init__(self) -> None:
        self.most = max(_MIN_CONNECTIONS, min(MAX_CONNECTIONS, _open_files() - _RESERVED_FILES))
        self._inside: dict[Guest, None] = {}  # the oldest first

    def enter(self, guest: Guest) -> None:
        """Admit a connection; this one or an idle one may be closed at once."""
        self._inside[guest] = None
        if len(self._inside) <= self.most:
            return
        waiting = [each for each in self._inside if not each.is_busy]
        held = Counter(each.host for each in waiting)
        leaving = max(waiting, key=lambda each: held[each.host], default=guest)  # the first of several
        log.warning("all %d connections are in use: closing an idle one", self.most)
        self.leave(leaving)
        leaving.abort()

    def leave(self, guest: Guest) -> None:
        """Remove a closed connection."""
        self._inside.pop(guest, None)

    def __len__(self) -> int:
        return len(self._inside)


class RequestHandler(web.RequestHandler):
    """aiohttp's handler, with limits on connections and our headers on its own error pages."""

    def __init__(self, doors: ConnectionLimits, server: web.Server) -> None:
        self._doors, self._timer = doors, None
        self.host, self.is_busy = "", False
        settings: dict[str, Any] = {
            "logger": log,
            "access_log": None,
            "keepalive_timeout": HEAD_TIMEOUT_S,
            "auto_decompress": False,  # a small body must not grow
        }
        super().__init__(server, loop=asyncio.get_running_loop(), **settings)

    _timer: asyncio.TimerHandle | None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Handle a new connection."""
        super().connection_made(transport)
        self.host = _host(transport)
        self.limit(HEAD_TIMEOUT_S)
        self._doors.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Handle a lost connection."""
        self._no_limit()
        self._doors.leave(self)
        super().connection_lost(exc)

    def abort(self) -> None:
        """Close it at once."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    def begin(self) -> None:
        """Mark that the head of a request has arrived."""
        self._no_limit()
        self.is_busy = True

    def limit(self, seconds: float) -> None:
        """Close it after `seconds`, unless another request has begun by then."""
        self._no_limit()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.abort)

    def handle_error(self, *arguments: Any, **options: Any) -> web.StreamResponse:
        """Answer an invalid request or an internal error, with our headers."""
        answer = super().handle_error(*arguments, **options)
        answer.headers.update(HEADERS)
        return answer

    def _no_limit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class ServerRunner(web.AppRunner):
    """An aiohttp runner with connection limits."""

    def __init__(self, app: web.Application, doors: ConnectionLimits, shutdown_timeout: float) -> None:
        super().__init__(app, access_log=None, logger=log, shutdown_timeout=shutdown_timeout)
        self._doors = doors

    @property
    def server(self) -> Any:
        """Return the factory of protocols for new connections; None before `setup`."""
        server = super().server
        return None if server is None else lambda: RequestHandler(self._doors, server)

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None) -> asyncio.Server:
        """Start to listen. Raises OSError."""
        made, doors = self.server, self._doors
        factory = made if tls is None else lambda: _Handshake(doors, tls, made)
        return await asyncio.get_running_loop().create_server(factory, host, port, backlog=BACKLOG)

    __slots__ = ("_doors",)


class _Handshake(asyncio.Protocol):
    """A connection in its TLS handshake: it counts, too, and has the same timeout."""

    is_busy = False

    def __init__(
        self, doors: ConnectionLimits, tls: ssl.SSLContext, made: Callable[[], RequestHandler]
    ) -> None:
        self._doors, self._tls, self._made = doors, tls, made
        self.host = ""
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "it is a TCP connection"
        transport.pause_reading()  # the data is for the handshake
        self._transport, self.host = transport, _host(transport)
        self._doors.enter(self)
        self._task = asyncio.get_running_loop().create_task(self._shake())

    def connection_lost(self, exc: Exception | None) -> None:
        self._doors.leave(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def _shake(self) -> None:
        assert self._transport is not None, "the connection is made"
        early = _Early()
        try:
            encrypted = await asyncio.get_running_loop().start_tls(
                self._transport, early, self._tls, server_side=True, ssl_handshake_timeout=HEAD_TIMEOUT_S
            )
        except (OSError, TimeoutError):  # scanners, plain HTTP, a rejected certificate
            self.abort()
            return
        finally:
            self._doors.leave(self)
        if encrypted is not None and not early.is_over:
            handler = self._made()
            encrypted.set_protocol(handler)
            handler.connection_made(encrypted)
            for data in early.data:
                handler.data_received(data)


class _Early(asyncio.Protocol):
    """Keeps data that arrives right after a handshake, before its success is reported."""

    def __init__(self) -> None:
        self.data: list[bytes] = []
        self.is_over = False

    def data_received(self, data: bytes) -> None:
        self.data.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True


def middleware() -> Middleware:
    """Return the outermost middleware: it marks a connection as busy while a request is served."""

    @web.middleware
    async def attend(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        guest = request.protocol
        if not isinstance(guest, RequestHandler):
            return await handler(request)
        guest.begin()
        answer: web.StreamResponse | None = None
        try:
            answer = await handler(request)
            return answer
        finally:
            guest.is_busy = isinstance(answer, web.FileResponse)  # which is sent after this

    return attend


def limit_download(request: web.Request, size: int) -> None:
    """Limit the time of a download of `size` bytes."""
    if isinstance(request.protocol, RequestHandler):
        request.protocol.limit(HEAD_TIMEOUT_S + size / MIN_DOWNLOAD_BYTES_S)


def _host(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else ""


def _open_files() -> int:
    """Return how many files this process may have open."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return MAX_CONNECTIONS + _RESERVED_FILES
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MAX_CONNECTIONS + _RESERVED_FILES if soft == resource.RLIM_INFINITY else soft
