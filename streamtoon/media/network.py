"""Addresses on a network: which are understood, what each may open, and how they are told to people.

Passwords, stream keys and tokens stand in addresses: what a person reads, or a log keeps, is `shown`.
"""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

import av

from streamtoon.errors import InputError, OutputError
from streamtoon.media import allowed, network_tls
from streamtoon.media.network_worker import HangingError

PATIENCE: Final = 10.0
"""Seconds of silence after which a connection counts as lost."""
STALL: Final = 5.0
"""Seconds that a write may take."""
HIDDEN: Final = "***"
_ADDRESS = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+)://")
_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443}
_WEB = "http,https,httpproxy,tcp,tls,crypto"
"""For HTTP and what its playlists name: other servers, never this computer's files."""
GATED: Final = "http,tcp,crypto"
"""For what comes through a Gate: no encryption that FFmpeg would not check."""


@dataclass(frozen=True, slots=True)
class InputScheme:
    """How pictures come in by one kind of address."""

    protocols: str
    """All that libavformat may open for it."""
    format: str | None = None
    """FFmpeg's demuxer; None where it is found out from the content."""
    formats: tuple[str, ...] = ()
    """Demuxers that may run."""
    is_paced: bool = False
    """True: the server sends as fast as one reads, and the pictures' times say when they are due."""
    options: Mapping[str, str] = field(default_factory=dict)


_TS = ("mpegts",)
_RTSP = InputScheme(
    "tcp,udp,rtp",
    "rtsp",
    ("rtsp", "sdp", "rtp", "mpegts", "asf"),
    # TCP first: it comes through firewalls, and whole.
    options={"rtsp_flags": "prefer_tcp"},
)
_HTTP = InputScheme(_WEB, None, (*allowed.FORMATS, "hls"), is_paced=True)
SOURCES: Final[dict[str, InputScheme]] = {
    "rtsp": _RTSP,
    "rtsps": InputScheme("tls,tcp,udp,rtp,srtp", "rtsp", _RTSP.formats, options=_RTSP.options),
    "rtmp": InputScheme("rtmp,tcp", "flv", ("flv",)),
    "rtmps": InputScheme("rtmps,tls,tcp", "flv", ("flv",)),
    "http": _HTTP,
    "https": _HTTP,
    # Two seconds of 16 Mbit/s may wait in FFmpeg's own thread; what is too much is lost, as UDP may.
    "udp": InputScheme("udp", "mpegts", _TS, options={"overrun_nonfatal": "1", "fifo_size": "21280"}),
    "rtp": InputScheme("rtp,udp", "rtp", ("rtp", *_TS)),
    "srt": InputScheme("srt", "mpegts", _TS),
}
"""By the scheme of an address."""
_SILENT = (TimeoutError, av.error.ExitError, HangingError)
_GIVEN = {
    av.error.HTTPUnauthorizedError: "it wants a name and a password, or others, in the address (401)",
    av.error.HTTPForbiddenError: "it refuses (403)",
    av.error.HTTPNotFoundError: "it has nothing under that path (404)",
    av.error.HTTPBadRequestError: "it does not understand the request (400)",
    av.error.HTTPTooManyRequestsError: "it is asked too often (429)",
    av.error.HTTPOtherClientError: "it refuses the request",
    av.error.HTTPServerError: "the server itself has failed",
    av.error.ConnectionRefusedError: "nobody listens there",
    av.error.ConnectionResetError: "the connection was cut",
    av.error.BrokenPipeError: "the connection was cut",
    av.error.EOFError: "the connection was closed",
    av.error.InvalidDataError: "what it sends is not understood",
    av.error.DemuxerNotFoundError: "what it sends is not understood",
}


@dataclass(frozen=True, slots=True)
class Address:
    """One address, taken apart."""

    text: str
    """As given: with all secrets."""
    scheme: str
    host: str
    port: int | None
    shown: str
    """Without secrets."""
    is_checked: bool = False
    """Whether it shows a certificate, which has to be trusted."""

    def find(self) -> None:
        """Raises LookupError, a clause for a sentence, where the host has no address of its own."""
        try:
            socket.getaddrinfo(self.host or None, self.port or _PORTS.get(self.scheme) or 0)
        except (OSError, UnicodeError) as error:
            raise LookupError(f"there is no host {self.host}") from error


def is_address(text: str) -> bool:
    """Whether `text` is an address and no path."""
    return bool(_ADDRESS.match(text)) and not text.lower().startswith("file:")


def parse(text: str, *, insecure: bool) -> Address:
    """With `insecure` any certificate will do. Raises ValueError, without the address in it, for nonsense."""
    parts = urlsplit(text)
    port = parts.port  # read once: raises ValueError for nonsense
    if not parts.hostname and parts.scheme not in ("udp", "rtp"):
        raise ValueError("it names no host")
    scheme = parts.scheme.lower()
    is_checked = scheme in network_tls.SECURE and not insecure
    return Address(text, scheme, parts.hostname or "", port, _shown(parts), is_checked)


def shown(text: str) -> str:
    """An address or a path as it may be told: names, passwords, keys and values of a query are hidden."""
    if not is_address(text):
        return text
    try:
        return _shown(urlsplit(text))
    except ValueError:
        return f"{text.partition('://')[0]}://{HIDDEN}"


def _shown(parts: SplitResult) -> str:
    place = parts.netloc.rpartition("@")[2]
    if "@" in parts.netloc:
        place = f"{HIDDEN}@{place}"
    path = parts.path
    if parts.scheme.lower().startswith("rtmp") and path.count("/") > 1:
        path = f"{path.rpartition('/')[0]}/{HIDDEN}"  # the stream's key
    query = "&".join(f"{pair.partition('=')[0]}={HIDDEN}" for pair in parts.query.split("&") if pair)
    return f"{parts.scheme}://{place}{path}{'?' if query else ''}{query}"


def source_address(text: str, *, insecure: bool = False) -> tuple[Address, InputScheme]:
    """Where pictures come from. Raises InputError for an address that is not understood."""
    try:
        address = parse(text, insecure=insecure)
    except ValueError as error:
        raise InputError(f"{shown(text)} is no address: {_clause(error)}.") from error
    way = SOURCES.get(address.scheme)
    if way is None:
        known = ", ".join(SOURCES)
        raise InputError(f"{address.shown} is not read: addresses that are begin with one of {known}.")
    return address, way


def reason(error: BaseException, address: Address | None, patience: float) -> str:
    """Why a connection, or None for a file, failed that had `patience` seconds, a clause for a sentence."""
    if isinstance(error, _SILENT):
        return f"it gave no answer for {patience:.0f} seconds"
    if isinstance(error, LookupError) and not isinstance(error, av.FFmpegError):
        return str(error)
    if isinstance(error, av.error.ProtocolNotFoundError):
        return f"the FFmpeg that is at hand here has no {address.scheme if address else 'such protocol'}"
    if address is not None and address.is_checked and _may_be_distrust(error):
        refused = network_tls.refusal(address.host, address.port or _PORTS[address.scheme])
        if refused is not None:
            return refused
    for kind, clause in _GIVEN.items():
        if isinstance(error, kind):
            return clause
    return _clause(error)


def _may_be_distrust(error: BaseException) -> bool:
    """What FFmpeg says of a certificate, and a Gate's answer."""
    return getattr(error, "errno", None) == errno.EIO or isinstance(error, av.error.HTTPServerError)


def _clause(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()


def input_error(address: Address, error: BaseException) -> InputError:
    """The sentence for a source that cannot be reached."""
    return InputError(f"{address.shown} cannot be opened: {reason(error, address, PATIENCE)}.")


def output_error(shown_name: str, address: Address | None, error: BaseException) -> OutputError:
    """The sentence for a target that cannot be reached."""
    return OutputError(f"{shown_name} cannot be written: {reason(error, address, STALL)}.")


class BackOff:
    """How long to wait before each next attempt: twice as long every time, up to half a minute."""

    FIRST: Final = 0.5
    LONGEST: Final = 30.0

    def __init__(self) -> None:
        self.attempts = 0
        """Since the last success."""

    def next(self) -> float:
        """Seconds."""
        wait: float = min(self.LONGEST, self.FIRST * 2.0**self.attempts)
        self.attempts += 1
        return wait

    def reset(self) -> None:
        """After a success."""
        self.attempts = 0
