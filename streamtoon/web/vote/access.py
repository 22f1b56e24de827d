"""Access rules of the vote server: no foreign page, no foreign host name, no large body."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from streamtoon.web.security import HEADERS, is_own_name, is_same_origin

MAX_BODY_BYTES = 4096
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
    """Return the middleware that checks every request to a server on the host `bound_to`."""
    own = {"localhost", bound_to.lower(), socket.gethostname().lower()}

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_own_name(request.headers.get("Host", ""), own):
            raise web.HTTPForbidden(text="This host name is not allowed.")
        changes = request.method not in ("GET", "HEAD")
        if changes and not (is_same_origin(request.headers) and request.content_type == "application/json"):
            raise web.HTTPForbidden(text="Only the page of this server may send this request.")
        return await handler(request)

    return check


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Add the security headers to every answer, also to errors."""
    response.headers.update(_HEADERS)
