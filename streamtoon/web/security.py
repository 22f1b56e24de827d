"""Checks of HTTP headers that tell a page's own requests from those of foreign pages and host names.

`streamtoon serve` and `streamtoon vote` share these functions, which need no web library.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Set
from urllib.parse import urlsplit

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Keep nothing in a shared browser, and never show an outdated answer.
    "Cache-Control": "no-store",
}
"""Headers of every answer; each server adds its own Content-Security-Policy."""


def is_own_name(host: str, own: Set[str]) -> bool:
    """Return whether a Host header is an IP address or one of the names `own`, in lower case.

    A foreign page can let its own name point to this machine, but cannot use an address or our names.
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


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Return whether a page of this server sent the request, by the browser's headers; check Host first."""
    host = headers["Host"]
    return (
        headers.get("Origin", "") in (f"http://{host}", f"https://{host}")
        and headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
    )
