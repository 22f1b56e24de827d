"""Who may ask the page's server for what: no foreign page, no foreign name of this machine, nothing large."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Set
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

LARGEST_BODY = 4096
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing of a vote stays in a shared browser, and no answer is an old one.
    "Cache-Control": "no-store",
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
        if changes and not (is_same_origin(request) and request.content_type == "application/json"):
            raise web.HTTPForbidden(text="Only this server's own page may do that.")
        return await handler(request)

    return check


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """For every answer, also for those of errors."""
    response.headers.update(_HEADERS)
    response.headers["Server"] = "streamtoon"


def is_own_name(host: str, own: Set[str]) -> bool:
    """Whether a Host header holds an address, or one of the names `own`, in small letters.

    A page elsewhere can have its own name point to this machine, but neither an address nor our names.
    """
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in own
    return True


def is_same_origin(request: web.Request) -> bool:
    """Whether a page of this server sent it, as browsers tell; its Host is an own name."""
    origin = request.headers.get("Origin", "")
    return (
        origin in (f"http://{request.headers['Host']}", f"https://{request.headers['Host']}")
        and request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
    )
