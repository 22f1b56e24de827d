"""How the pages that streamtoon serves know their own calls from those of a foreign page or a foreign name.

Plain functions of headers, without a web library: the pages of `streamtoon serve` and of the vote use them.
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
    # Nothing of it stays in a shared browser, and no answer is an old one.
    "Cache-Control": "no-store",
}
"""For every answer; each page adds its own Content-Security-Policy."""


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


def is_same_origin(headers: Mapping[str, str]) -> bool:
    """Whether a page of this server sent a request, as browsers tell; its Host is an own name."""
    host = headers["Host"]
    return (
        headers.get("Origin", "") in (f"http://{host}", f"https://{host}")
        and headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
    )
