"""Network addresses: supported schemes, what each may open, and error messages.

Addresses contain passwords, stream keys and tokens. Messages and logs only contain the result of `shown`.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import av

from streamtoon.errors import (
    InputConnectionLostError,
    InputError,
    OutputConnectionLostError,
    OutputError,
    write_error,
)
from streamtoon.media.network import tls
from streamtoon.media.network.secrets import UNESCAPED, is_awkward, shown_address
from streamtoon.media.network.worker import CallTimeoutError
from streamtoon.media.reader import allowlist

SOURCE_TIMEOUT_S: Final = 10.0
"""Seconds of silence after which a source counts as lost."""
SINK_TIMEOUT_S: Final = 5.0
"""Timeout for a write."""
_ADDRESS = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+)://")
_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
_WEB = "http,https,httpproxy,tcp,tls,crypto"
"""Protocols for HTTP and its playlists: other servers, never local files."""
PROXY_PROTOCOLS: Final = "http,tcp,crypto"
"""Protocols behind an HttpsProxy: no encryption that FFmpeg would not check."""


@dataclass(frozen=True, slots=True)
class InputScheme:
    """How to read addresses of one scheme."""

    protocols: str
    """Protocols that libavformat may use."""
    format: str | None = None
    """FFmpeg's demuxer; None to detect it from the content."""
    formats: tuple[str, ...] = ()
    """Demuxers that may run."""
    is_paced: bool = False
    """Whether the server sends as fast as it is read, so that timestamps decide when frames are due."""
    options: Mapping[str, str] = field(default_factory=dict)


_TS = ("mpegts",)
_RTSP = InputScheme(
    "tcp,udp,rtp",
    "rtsp",
    ("rtsp", "sdp", "rtp", "mpegts", "asf"),
    # TCP first: it passes firewalls and loses nothing.
    options={"rtsp_flags": "prefer_tcp"},
)
_HTTP = InputScheme(_WEB, None, (*allowlist.FORMATS, "hls"), is_paced=True)
SOURCES: Final[dict[str, InputScheme]] = {
    "rtsp": _RTSP,
    "rtsps": InputScheme("tls,tcp,udp,rtp,srtp", "rtsp", _RTSP.formats, options=_RTSP.options),
    "rtmp": InputScheme("rtmp,tcp", "flv", ("flv",)),
    "rtmps": InputScheme("rtmps,tls,tcp", "flv", ("flv",)),
    "http": _HTTP,
    "https": _HTTP,
    # FFmpeg's thread buffers two seconds of 16 Mbit/s. More is lost, as is normal for UDP.
    "udp": InputScheme("udp", "mpegts", _TS, options={"overrun_nonfatal": "1", "fifo_size": "21280"}),
    "rtp": InputScheme("rtp,udp", "rtp", ("rtp", *_TS)),
    "srt": InputScheme("srt", "mpegts", _TS),
}
"""By the scheme of an address."""
_TIMEOUTS = (TimeoutError, av.error.ExitError, CallTimeoutError)
_BROKEN = (
    av.error.ConnectionRefusedError,
    av.error.ConnectionResetError,
    av.error.BrokenPipeError,
    av.error.EOFError,
)
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.ECONNABORTED)
_KEY_PROBLEM = "the stream key may be wrong, or it is already in use"
_CLAUSES = {
    av.error.HTTPUnauthorizedError: "it requires a valid user name and password in the address (401)",
    av.error.HTTPForbiddenError: "it refuses access (403)",
    av.error.HTTPNotFoundError: "it has nothing under this path (404)",
    av.error.HTTPBadRequestError: "it rejects the request as invalid (400)",
    av.error.HTTPTooManyRequestsError: "it receives too many requests (429)",
    av.error.HTTPOtherClientError: "it rejects the request",
    av.error.HTTPServerError: "it reports an internal error",
    av.error.ConnectionRefusedError: "connection refused",
    av.error.ConnectionResetError: "the connection was reset",
    av.error.BrokenPipeError: "the connection was reset",
    av.error.EOFError: "the connection was closed",
    av.error.InvalidDataError: "it sends invalid data",
    av.error.DemuxerNotFoundError: "it sends invalid data",
}


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed address."""

    text: str
    """As given, with all secrets."""
    scheme: str
    host: str
    port: int | None
    shown: str
    """Without secrets."""
    is_checked: bool = False
    """Whether its certificate must be trusted."""

    def find(self) -> None:
        """Raise LookupError, with a clause as its message, if the host does not exist."""
        try:
            socket.getaddrinfo(self.host or None, self.port or _PORTS.get(self.scheme) or 0)
        except (OSError, UnicodeError) as error:
            if is_awkward(self.text):  # the apparent host may be part of a password
                raise LookupError(f"there is no such host; {UNESCAPED}") from error
            raise LookupError(f"there is no host {self.host}") from error

    def refusal(self) -> str | None:
        """Ask the server again and return why its certificate is rejected, as a clause; None if it is not."""
        if not self.is_checked:
            return None
        return tls.refusal(self.host, self.port or _PORTS[self.scheme])


def is_address(text: str) -> bool:
    """Return whether `text` is an address and not a path."""
    text = text.strip()
    return bool(_ADDRESS.match(text)) and not text.lower().startswith("file:")


def shown(text: str) -> str:
    """Return an address or path for messages: names, passwords, keys and query values are hidden."""
    return shown_address(text.strip()) if is_address(text) else text


def parse(text: str, *, insecure: bool) -> Address:
    """Parse an address. With `insecure`, certificates are not checked.

    Raises ValueError, whose message does not contain the address, if it is invalid.
    """
    text = text.strip()
    try:
        parts = urlsplit(text)
        port = parts.port  # raises ValueError if it is invalid
    except ValueError as error:  # its message may contain part of a password
        raise ValueError(UNESCAPED if is_awkward(text) else "its host or port is invalid") from error
    if not parts.hostname and parts.scheme not in ("udp", "rtp"):
        raise ValueError("it has no host")
    scheme = parts.scheme.lower()
    is_checked = scheme in tls.SECURE and not insecure
    return Address(text, scheme, parts.hostname or "", port, shown(text), is_checked)


def source_address(text: str, *, insecure: bool = False) -> tuple[Address, InputScheme]:
    """Parse the address of a source. Raises InputError if it is not supported."""
    try:
        address = parse(text, insecure=insecure)
    except ValueError as error:
        raise InputError(f"{shown(text)} is not a valid address: {error}.") from error
    way = SOURCES.get(address.scheme)
    if way is None:
        known = ", ".join(SOURCES)
        raise InputError(f"cannot read from {address.shown}. Supported addresses begin with one of {known}.")
    return address, way


def reason(
    error: BaseException, address: Address | None, patience: float, *, is_new_output: bool = False
) -> str:
    """Return why a connection or file failed, as a clause.

    Args:
        error: The error.
        address: The address; None for a file.
        patience: The timeout in seconds.
        is_new_output: Whether it is an output that has not accepted anything yet.
    """
    if isinstance(error, _TIMEOUTS):
        return f"it did not answer within {patience:.0f} seconds"
    if _is_lookup(error):
        return str(error)
    if isinstance(error, av.error.ProtocolNotFoundError):
        return f"this FFmpeg does not support {address.scheme if address else 'the protocol'}"
    if address is not None and _may_be_distrust(error) and (refused := address.refusal()) is not None:
        return refused
    if address is not None and address.scheme.startswith("rtmp"):
        # FFmpeg's RTMP: EPERM is an error status from the server, EIO a closed connection.
        if isinstance(error, av.error.PermissionError):
            why = _KEY_PROBLEM if is_new_output else "nothing may be published under this stream key"
            return f"it refuses access; {why}"
        if getattr(error, "errno", None) == errno.EIO:
            why = f" without taking the stream; {_KEY_PROBLEM}" if is_new_output else ""
            return f"it closed the connection{why}"
    for kind, clause in _CLAUSES.items():
        if isinstance(error, kind):
            return clause
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()


def _is_lookup(error: BaseException) -> bool:
    """Return whether an error is that of `Address.find`. Some of PyAV's are LookupErrors too."""
    return isinstance(error, LookupError) and not isinstance(error, av.FFmpegError)


def _may_be_distrust(error: BaseException) -> bool:
    """Return whether an error may be FFmpeg's for a rejected certificate, or that of our proxy."""
    return getattr(error, "errno", None) == errno.EIO or isinstance(error, av.error.HTTPServerError)


def _is_connection_failure(address: Address, error: BaseException) -> bool:
    """Return whether there was no answer or the connection broke, so that a retry may succeed."""
    if isinstance(error, (*_TIMEOUTS, *_BROKEN)) or _is_lookup(error):
        return True
    number = getattr(error, "errno", None)
    return number in _UNREACHABLE or (number == errno.EIO and address.refusal() is None)


def input_error(address: Address, error: BaseException) -> InputError:
    """Return the error for a source that cannot be reached."""
    kind = InputConnectionLostError if _is_connection_failure(address, error) else InputError
    return kind(f"{address.shown} cannot be opened: {reason(error, address, SOURCE_TIMEOUT_S)}.")


def output_error(shown_name: str, address: Address | None, error: BaseException) -> OutputError:
    """Return the error for a target that cannot be reached, or without an address, a file not written."""
    if address is None and isinstance(error, (av.FFmpegError, OSError)):
        return write_error(shown_name, error)
    kind = OutputError
    if address is not None and _is_connection_failure(address, error):
        kind = OutputConnectionLostError
    return kind(
        f"{shown_name} cannot be written: {reason(error, address, SINK_TIMEOUT_S, is_new_output=True)}."
    )


class BackOff:
    """The delay before each reconnection attempt. It doubles every time, up to 30 seconds."""

    FIRST: Final = 0.5
    LONGEST: Final = 30.0

    def __init__(self) -> None:
        self.attempts = 0
        """Number of attempts since the last success."""

    def next(self) -> float:
        """Return the next delay in seconds."""
        wait: float = min(self.LONGEST, self.FIRST * 2.0**self.attempts)
        self.attempts += 1
        return wait

    def reset(self) -> None:
        """Reset the delay after a success."""
        self.attempts = 0
