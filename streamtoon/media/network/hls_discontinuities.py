"""Intended jumps of HLS timestamps. Playlists declare them (RFC 8216, 4.3.2.3), but FFmpeg does not report
them.
"""

from __future__ import annotations

import base64
import urllib.request
from collections.abc import Callable
from fractions import Fraction
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import unquote, urljoin, urlsplit

from av.packet import Packet

from streamtoon.media.network import tls
from streamtoon.media.network.position import packet_time
from streamtoon.media.reader.timestamps import Timeline

MIN_GAP_S: Final = Fraction(1)
"""Minimum gap in seconds for asking the playlist. Video and audio may be this far apart."""
_SAME_JUMP_S: Final = 10
"""Seconds by which the same jump may differ between video and audio."""
_TIMEOUT_S: Final = 5.0
_MAX_PLAYLIST_BYTES: Final = 4_000_000
"""Maximum bytes of a playlist to read."""


class DiscontinuityWatch:
    """Closes gaps in one connection that its playlist declares as discontinuities."""

    def __init__(self, timeline: Timeline, declares: Callable[[], bool] | None) -> None:
        """Watch a timeline. `declares` asks the playlist; None if there is none."""
        self._timeline, self._declares = timeline, declares
        self._asked: Fraction | None = None

    def look(self, packet: Packet[Any]) -> None:
        """Ask the playlist if `packet`, the next one, comes after a gap."""
        time = packet_time(packet)
        if self._declares is None or time is None or self._timeline.gap(packet) <= MIN_GAP_S:
            return
        if self._asked is not None and abs(time - self._asked) < _SAME_JUMP_S:
            return
        self._asked = time
        if self._declares():
            self._timeline.set_max_gap(MIN_GAP_S)
            self._declares = None


def has_discontinuity(url: str, *, insecure: bool = False) -> bool:
    """Return whether the playlist at a URL, or the first variant in it, now contains a discontinuity.

    Asks the server, with a timeout of a few seconds. Returns False if it does not answer. With `insecure`,
    certificates are not checked.
    """
    try:
        text, here = _fetch(url, insecure=insecure)
        variants = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if "#EXT-X-STREAM-INF" in text and variants:  # all variants have the same discontinuities (6.2.4)
            text, _ = _fetch(urljoin(here, variants[0]), insecure=insecure)
    except (OSError, HTTPException, ValueError):
        return False
    return any(line.startswith("#EXT-X-DISCONTINUITY") and ":" not in line for line in text.splitlines())


def _fetch(url: str, *, insecure: bool) -> tuple[str, str]:
    """Fetch a text. Return it with its final URL. Raises OSError, HTTPException and ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError("not a web address")  # a playlist may contain any URL
    user, _, place = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=place).geturl())  # noqa: S310
    if user:
        request.add_header("Authorization", f"Basic {base64.b64encode(unquote(user).encode()).decode()}")
    # If the URL is that of our HttpsProxy, it must not go through the system's proxy.
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPSHandler(context=tls.context(insecure=insecure))
    ]
    if parts.hostname == "127.0.0.1":
        handlers.append(urllib.request.ProxyHandler({}))
    with urllib.request.build_opener(*handlers).open(request, timeout=_TIMEOUT_S) as answer:
        return answer.read(_MAX_PLAYLIST_BYTES).decode(errors="replace"), answer.url
