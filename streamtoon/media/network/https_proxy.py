"""A local proxy that makes FFmpeg's HTTPS requests with Python, which checks certificates.

FFmpeg does not check the certificates of a playlist's segments or of WHIP servers: its HLS reader and its
WHIP writer do not pass on the options for it.
"""

from __future__ import annotations

import re
import secrets
import socket
import threading
import urllib.request
from contextlib import suppress
from email.message import Message
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, Any, Final, cast
from urllib.error import HTTPError
from urllib.parse import quote, urljoin, urlsplit

from streamtoon.media.network import tls

_REQUEST_HEADERS: Final = ("accept", "authorization", "content-type", "cookie", "range", "user-agent")
_RESPONSE_HEADERS: Final = ("accept-ranges", "content-range", "content-type", "etag", "link", "set-cookie")
_CHUNK_BYTES: Final = 65536
_MAX_BYTES: Final = 4_000_000
"""Maximum bytes of a playlist or of a request."""
_URI_ATTRIBUTE: Final = re.compile(r'(?<=\bURI=")[^"]+')
_PUNCTUATION: Final = "%:/?#[]@!$&'()*+,;=~"
"""Characters that a URL may contain unescaped (RFC 3986, 2.2)."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Disables redirects. FFmpeg follows them itself, so that it resolves relative URLs correctly."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


class HttpsProxy:
    """Maps `https://` URLs to local ones that lead to them.

    Other users of this computer cannot guess the local URLs. `timeout` is the maximum silence of a server in
    seconds.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        handlers = (_NoRedirect(), urllib.request.HTTPSHandler(context=tls.context()))
        self._opener = urllib.request.build_opener(*handlers)
        self._session: urllib.request.Request | None = None
        self._clients: set[socket.socket] = set()
        gate = self

        class ProxyHandler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(OSError, HTTPException):  # one end has closed the connection
                    gate._answer(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Log nothing: URLs contain secrets."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), ProxyHandler)
        self._server.daemon_threads, self._server.block_on_close = True, False
        self._prefix = f"/{secrets.token_urlsafe(16)}/"
        threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="streamtoon-gate", daemon=True
        ).start()

    def address(self, url: str) -> str:
        """Return the local URL for `url`, with its user name and password."""
        parts = urlsplit(url)
        user, at, place = parts.netloc.rpartition("@")
        path = f"{self._prefix}{place}{parts.path or '/'}"
        netloc = f"{user}{at}127.0.0.1:{self._server.server_port}"
        return parts._replace(scheme="http", netloc=netloc, path=path).geturl()

    def close(self) -> None:
        """Stop the proxy and close all connections."""
        self._server.shutdown()
        self._server.server_close()
        for client in tuple(self._clients):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def leave(self) -> None:
        """Tell a WHIP server that its session is over (RFC 9725, 4.2)."""
        if self._session is not None:
            with suppress(OSError, HTTPException):
                self._opener.open(self._session, timeout=self._timeout).close()

    # --- in the server's threads -------------------------------------------------------------------

    def _answer(self, client: BaseHTTPRequestHandler) -> None:
        if not client.path.startswith(self._prefix):
            client.send_error(404)
            return
        self._clients.add(client.connection)
        try:
            url = f"https://{client.path.removeprefix(self._prefix)}"
            sent = min(int(client.headers.get("content-length") or 0), _MAX_BYTES)
            headers = {name: client.headers[name] for name in _REQUEST_HEADERS if name in client.headers}
            request = urllib.request.Request(url, client.rfile.read(sent) if sent else None, headers)
            request.method = client.command
            try:
                answer = self._opener.open(request, timeout=self._timeout)
            except HTTPError as error:
                answer = error  # an error status is an answer as well
            except OSError:
                client.send_error(502)
                return
            with answer:
                self._hand_back(client, request, answer)
        finally:
            self._clients.discard(client.connection)

    def _hand_back(
        self, client: BaseHTTPRequestHandler, request: urllib.request.Request, answer: Any
    ) -> None:
        headers = cast("Message", answer.headers)
        client.send_response(answer.status)
        for name in _RESPONSE_HEADERS:
            for value in headers.get_all(name, ()):
                client.send_header(name, value)
        where = headers.get("location")
        if where is not None and request.method == "POST":
            self._session = _session_delete(request, urljoin(request.full_url, where))
        elif where is not None:
            client.send_header("location", self._through(urljoin(request.full_url, where)))
        first = answer.read1(_CHUNK_BYTES)
        if first.startswith(b"#EXTM3U"):
            first += answer.read(_MAX_BYTES)
            first = self._rewritten(first, request.full_url)
        elif (length := headers.get("content-length")) is not None:
            client.send_header("content-length", length)
        client.end_headers()
        while first:
            client.wfile.write(first)
            first = answer.read1(_CHUNK_BYTES)

    def _rewritten(self, playlist: bytes, url: str) -> bytes:
        """Replace the URLs in a playlist's lines and tags (RFC 8216, 4.1 and 4.2) by local ones."""
        lines = re.split("[\r\n]+", playlist.decode(errors="surrogateescape"))
        for number, line in enumerate(lines):
            if line.startswith("#"):
                lines[number] = _URI_ATTRIBUTE.sub(lambda uri: self._through(urljoin(url, uri[0])), line)
            elif line.strip():
                lines[number] = self._through(urljoin(url, line.strip()))
        return "\n".join(lines).encode(errors="surrogateescape")

    def _through(self, url: str) -> str:
        if not url.lower().startswith("https://"):
            return url
        return self.address(quote(url, _PUNCTUATION, errors="surrogateescape"))


def _session_delete(offer: urllib.request.Request, url: str) -> urllib.request.Request | None:
    """Return the request that ends the WHIP session at `url`.

    None if it is on another server than the one that took the offer, for which alone the token is valid.
    """
    if urlsplit(url)[:2] != urlsplit(offer.full_url)[:2]:
        return None
    headers = {name: value for name, value in offer.header_items() if name.lower() == "authorization"}
    return urllib.request.Request(url, headers=headers, method="DELETE")  # noqa: S310
