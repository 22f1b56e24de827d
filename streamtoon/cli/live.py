"""What the live commands say: how a run begins, how it stands, how late its pictures are."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from streamtoon.cli.common import say, say_warnings

if TYPE_CHECKING:
    from engines.engine import EngineFacts
    from streamtoon.media.probe import MediaInfo

LINE_EVERY = 5.0
"""Seconds between two lines where nothing on the screen moves."""
How = TypeVar("How")


def begins(info: MediaInfo, facts: EngineFacts) -> str:
    """What is drawn, and by what."""
    return (
        f"{info.width}x{info.height} at {float(info.rate):.3g} fps, {facts.style} by "
        f"{facts.backend} {facts.precision} on {facts.device}, {facts.quality}"
    )


def announce(beginning: str, facts: EngineFacts, *, quiet: bool) -> None:
    """How a run begins, and, quiet or not, what was asked for and is not done."""
    if not quiet:
        say(beginning)
    if facts.given_up:
        say_warnings((facts.given_up,))


def lines(text: Callable[[How], str]) -> Callable[[How], object]:
    """Says how a run stands, as `text` puts it, every now and then however often it is called."""
    latest = time.monotonic()

    def tell(how: How) -> None:
        nonlocal latest
        if time.monotonic() - latest >= LINE_EVERY:
            latest = time.monotonic()
            say(text(how))

    return tell


def late(median: float | None, p95: float | None) -> str:
    """Milliseconds from a picture's arrival to its going out; nothing where there was no picture."""
    return "" if median is None else f", latency {median:.0f} ms (95 %: {p95:.0f} ms)"
