"""Who may ask the page's server for what: no foreign page, no foreign name of this machine, nothing large."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from engines.web_guard import HEADERS, is_own_name, is_same_origin

LARGEST_BODY = 4096
_HEADERS = HEADERS | {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Server": "streamtoon",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guard(bound_to: str) -> Middleware:
    """The middleware of a server that is bound to the host `bound_to`."""
    own = {"localhost", bound_to.lower(), socket.gethostname().lower()}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_own_name(request.headers.get("Host", ""), own):
            raise web.HTTPForbidden(text="This server is not known under that name.")
        changes = request.method not in ("GET", "HEAD")
        if changes and not (is_same_origin(request.headers) and request.content_type == "application/json"):
            raise web.HTTPForbidden(text="Only this server's own page may do that.")
        return await handler(request)

    return check


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """For every answer, also for those of errors."""
    response.headers.update(_HEADERS)
