"""Who may ask the server for what: no foreign page, no foreign name of this machine, nobody without token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web
from aiohttp.typedefs import Middleware

from engines import web_guard
from engines.web_guard import is_own_name, is_same_origin

HEADERS = web_guard.HEADERS | {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Server": "streamtoon",
}
OPEN = ("/healthz",)
"""What is told to everybody: that the server is alive."""
BODIES = ("application/json", "application/octet-stream")
"""Kinds that a foreign page cannot send without asking first."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access:
    """Of a server that is bound to `host`, and known under `names` too.

    Whoever is not on this machine needs the `token`: once in the page's address, then as a cookie, or, for
    programs, as `Authorization: Bearer`.
    """

    def __init__(self, host: str, names: Iterable[str] = (), *, encrypted: bool = False) -> None:
        self.token = None if is_loopback(host) else secrets.token_urlsafe(24)
        self._names = {"localhost", host.lower(), socket.gethostname().lower(), *(n.lower() for n in names)}
        self._encrypted = encrypted
        # Browsers keep cookies by host and not by port: two servers on one machine must not share one.
        self._cookie = f"streamtoon-{hashlib.sha256((self.token or '').encode()).hexdigest()[:8]}"

    def middleware(self) -> Middleware:
        """For the application: every call passes here."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not is_own_name(request.headers.get("Host", ""), self._names):
                raise web.HTTPForbidden(text="This server is not known under that name; --name gives it one.")
            changes = request.method not in ("GET", "HEAD")
            if changes and not (is_same_origin(request.headers) and request.content_type in BODIES):
                raise web.HTTPForbidden(text="Only this server's own page may do that.")
            if request.path in OPEN:
                return await handler(request)
            if self.token is not None and not self._is_known(request):
                raise web.HTTPUnauthorized(text="Open the address with the token that the server printed.")
            response = await handler(request)
            if self.token is not None and request.path == "/" and "token" in request.query:
                self._remember(response)
            return response

        return check

    async def add_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        """For every answer, also for those of errors."""
        response.headers.update(HEADERS)
        if self.token is None or self._encrypted:  # elsewhere browsers complain of it
            response.headers["Cross-Origin-Opener-Policy"] = "same-origin"

    def _is_known(self, request: web.Request) -> bool:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        asked = request.query.get("token") if request.path == "/" else None
        shown = (asked, request.cookies.get(self._cookie), bearer if scheme.lower() == "bearer" else None)
        return any(self._is_token(text) for text in shown if text)

    def _is_token(self, text: str) -> bool:
        assert self.token is not None, "asked for where there is one"
        return hmac.compare_digest(text.encode("utf-8", "surrogatepass"), self.token.encode())

    def _remember(self, response: web.StreamResponse) -> None:
        assert self.token is not None, "asked for where there is one"
        response.set_cookie(
            self._cookie, self.token, httponly=True, samesite="Strict", secure=self._encrypted, path="/"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
