"""Messages of the live commands: start, status and latency."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from streamtoon.cli.common import say, say_warnings

if TYPE_CHECKING:
    from engines.engine import EngineFacts
    from streamtoon.media.reader.probe import MediaInfo

LINE_INTERVAL_S = 5.0
"""Between two status lines."""
How = TypeVar("How")


def begins(info: MediaInfo, facts: EngineFacts) -> str:
    """Describe what is drawn, and by which engine."""
    return (
        f"{info.width}x{info.height} at {float(info.rate):.3g} fps, {facts.style} by "
        f"{facts.backend} {facts.precision} on {facts.device}, {facts.quality}"
    )


def announce(beginning: str, facts: EngineFacts, *, quiet: bool) -> None:
    """Announce a run; warnings are printed even with `quiet`."""
    if not quiet:
        say(beginning)
    if facts.fallback:
        say_warnings((facts.fallback,))
    if facts.too_slow:
        said = f"no quality of style {facts.style} is fast enough on this machine; frames will be dropped"
        say_warnings((f"{said}. {facts.quality} comes closest ({facts.reason})",))


def lines(text: Callable[[How], str]) -> Callable[[How], object]:
    """Return a function that prints `text` of its argument, at most every `LINE_INTERVAL_S` seconds."""
    latest = time.monotonic()

    def tell(how: How) -> None:
        nonlocal latest
        if time.monotonic() - latest >= LINE_INTERVAL_S:
            latest = time.monotonic()
            say(text(how))

    return tell


def late(median: float | None, p95: float | None) -> str:
    """Describe the latency from a frame's arrival to its output, in ms; empty if there was no frame."""
    return "" if median is None else f", latency {median:.0f} ms (95 %: {p95:.0f} ms)"
