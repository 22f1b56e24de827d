"""Hiding secrets in addresses: passwords, stream keys and tokens occur in many places."""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "***"
UNESCAPED: Final = "in names and passwords write / as %2F, ? as %3F, # as %23, @ as %40"
_KEY: Final = re.compile(r"[A-Za-z][\w.-]{0,20}")
_PORT: Final = re.compile(r"^([^:\[]*):(?!\d*$).*$")
_RANDOM: Final = re.compile(r"(?=[^.]*\d)(?=[^.]*[A-Za-z])[^.]{24,}")
"""A random-looking part of a path. Some services put their keys there."""


def is_awkward(address: str) -> bool:
    """Return whether an @ follows what RFC 3986 takes as the host, which may then be part of a password."""
    return "@" in _split(address)[2]


def shown_address(address: str) -> str:
    """Return an address without secrets. If there are two readings, the secrets of both are hidden."""
    scheme, authority, rest = _split(address)
    if "@" in rest:
        before, _, after = address.partition("://")[2].rpartition("@")
        if scheme.lower().startswith("rtmp") or re.search(r"[?=]", before):
            return f"{scheme}://{HIDDEN}"  # the rest may belong to a key or to a query's value
        authority, rest = f"@{_host(after)}", after[len(_host(after)) :]
    _, at, place = authority.rpartition("@")
    if not at:
        place = _PORT.sub(rf"\1:{HIDDEN}", place)  # a user name and a password, with the host forgotten
    path, mark, query = rest.partition("#")[0].partition("?")
    pairs = [_pair(pair) for pair in query.split("&") if pair]
    told = f"{scheme}://{HIDDEN if at else ''}{at}{place}{_path(path, scheme.lower())}"
    return f"{told}{mark}{'&'.join(pairs)}" if pairs else told


def _split(address: str) -> tuple[str, str, str]:
    """Return scheme, authority and the rest, as defined by RFC 3986."""
    scheme, _, rest = address.partition("://")
    authority = _host(rest)
    return scheme, authority, rest[len(authority) :]


def _host(text: str) -> str:
    return re.split(r"[/?#\\]", text, maxsplit=1)[0]


def _path(path: str, scheme: str) -> str:
    if scheme.startswith("rtmp"):  # the application, and then the stream's key
        first, mark, key = path[1:].partition("/")
        return f"{path[:1]}{_part(first)}{mark}{HIDDEN if key else ''}"
    parts: list[str] = []
    for part in path.split("/"):
        parts.append(_part(part))
        if "=" in part:  # cameras: user=admin&password=a/b&channel=1, with any character in the password
            break
    return "/".join(parts)


def _part(part: str) -> str:
    name, mark, _ = part.partition("=")
    if mark:
        return f"{name}={HIDDEN}" if _KEY.fullmatch(name) else HIDDEN
    return HIDDEN if ":" in part or _RANDOM.fullmatch(part) else part


def _pair(pair: str) -> str:
    """Return a query's pair with its value hidden. The name is hidden too if it may be a secret."""
    name, mark, value = pair.partition("=")
    return f"{name}={HIDDEN}" if mark and value.strip("=") and _KEY.fullmatch(name) else HIDDEN
