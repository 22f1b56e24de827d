"""Access rules of the server: no foreign page, no foreign host name, and a token for other machines."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable
from importlib.resources import files
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Middleware

from streamtoon.errors import InputError
from streamtoon.web import security as web_guard
from streamtoon.web.address import is_loopback
from streamtoon.web.security import is_own_name, is_same_origin

HEADERS = web_guard.HEADERS | {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Server": "streamtoon",
}
OPEN = ("/healthz", "/readyz", "/icon.svg", "/style.css")
"""Paths that need no token: both health checks, and what the page without a token needs."""
MIN_TOKEN_CHARACTERS = 16
"""Shortest token that a file may hold."""
TOKEN_PAGE = files("streamtoon.web.serve") / "page" / "door.html"
"""The page that a browser without the token gets."""
BODIES = ("application/json", "application/octet-stream")
"""Content types that a foreign page cannot send without a CORS preflight."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def read_token(file: Path) -> str:
    """Read a token from a file. Raises InputError if it is missing, too short or not printable ASCII."""
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as a token ({error}).") from error
    if len(token) < MIN_TOKEN_CHARACTERS or not re.fullmatch(r"[A-Za-z0-9_-]+", token):
        raise InputError(
            f"{file} must hold one token: {MIN_TOKEN_CHARACTERS} or more letters, digits, - and _; make one "
            "with: openssl rand -hex 24"
        )
    return token


class Access:
    """The access rules of a server that is bound to `host` and also known under `names`.

    Other machines need the `token`: once in the page's address, then as a cookie; programs send it as
    `Authorization: Bearer`. Without a `token`, servers that other machines can reach make one of their own.
    """

    def __init__(
        self, host: str, names: Iterable[str] = (), *, encrypted: bool = False, token: str | None = None
    ) -> None:
        self.token = token or (None if is_loopback(host) else secrets.token_urlsafe(24))
        self._names = {"localhost", host.lower(), socket.gethostname().lower(), *(n.lower() for n in names)}
        self._encrypted = encrypted
        # Browsers keep cookies by host, not by port: two servers on one machine must not share one.
        self._cookie = f"streamtoon-{hashlib.sha256((self.token or '').encode()).hexdigest()[:8]}"

    def middleware(self) -> Middleware:
        """Return the middleware that checks every request."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if not is_own_name(request.headers.get("Host", ""), self._names):
                raise web.HTTPForbidden(
                    text="This host name is not allowed. Start the server with --name to allow it."
                )
            changes = request.method not in ("GET", "HEAD")
            if changes and not (is_same_origin(request.headers) and request.content_type in BODIES):
                raise web.HTTPForbidden(text="Only the page of this server may send this request.")
            if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
                raise web.HTTPUnsupportedMediaType(text="Content-Encoding is not supported.")
            if request.path in OPEN:
                return await handler(request)
            if self.token is not None and not self._is_known(request):
                if request.path == "/":
                    page = TOKEN_PAGE.read_text(encoding="utf-8")
                    return web.Response(status=401, text=page, content_type="text/html")
                raise web.HTTPUnauthorized(text="Open the address that the server printed, with its token.")
            response = await handler(request)
            if self.token is not None and request.path == "/" and "token" in request.query:
                self._remember(response)
            return response

        return check

    async def add_headers(self, _: web.Request, response: web.StreamResponse) -> None:
        """Add the security headers to every answer, also to errors."""
        response.headers.update(HEADERS)
        if self.token is None or self._encrypted:  # over plain HTTP, browsers warn about it
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
