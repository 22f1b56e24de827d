"""What one server is told when it starts: what it draws with, and what it allows."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from engines.errors import StyleError
from engines.style import Style, load_style, own_names, shipped_names
from streamtoon.errors import InputError

MEGABYTE = 1_000_000
log = logging.getLogger("streamtoon.serve")
LONG_SIDE = 16384
"""Pixels that no picture's side may exceed, as in files."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What visitors may ask for, each refused in a sentence that a visitor can act on."""

    sessions: int = 4
    """Live sessions and files that are drawn at the same time."""
    upload: int = 500
    """Megabytes of a file."""
    pixels: float = 9.0
    """Million pixels of a picture: 9 takes 4K."""
    duration: float = 600.0
    """Seconds of a video."""

    def demand_pixels(self, width: int, height: int) -> None:
        """Raises InputError."""
        if width * height > self.pixels * 1e6 or max(width, height) > LONG_SIDE:
            raise InputError(
                f"The pictures are {width}x{height}: "
                f"this server takes at most {self.pixels:g} million pixels."
            )

    def demand_duration(self, seconds: float) -> None:
        """Raises InputError."""
        if seconds > self.duration:
            raise InputError(
                f"The video is {clock(seconds)} long: this server takes at most {clock(self.duration)}."
            )

    def demand_upload(self, size: int) -> None:
        """Raises InputError."""
        if size > self.upload * MEGABYTE:
            raise InputError(f"The file is too large: this server takes at most {self.upload} MB.")


@dataclass(frozen=True, slots=True)
class Settings:
    """The server's own, from the command line."""

    style: str
    """The style that a page begins with: a name, or a folder."""
    strength: float = 1.0
    stabilize: float = 0.0
    """Of live pictures, 0 to 1."""
    engine: dict[str, str] = field(default_factory=dict)
    """backend, device, precision, quality of `streamtoon.live.performer.Performer`."""
    limits: Limits = Limits()
    stun: str | None = None
    """HOST:PORT of a STUN server; None asks nobody."""

    def styles(self) -> dict[str, Style]:
        """What visitors may choose, by name: the first one to begin with, those that ship, the user's own.

        One of the user's own that cannot be used is left out, and the log says why. Raises StyleError for any
        other.
        """
        first = load_style(self.style)
        found = {first.name: first}
        for name in shipped_names():
            if name not in found:
                found[name] = load_style(name)
        for name in own_names():
            if name not in found:
                try:
                    found[name] = load_style(name)
                except StyleError as error:
                    log.warning("the style %s is left out: %s", name, error)
        return found


def is_share(value: Any) -> bool:
    """Whether it is a number from 0 to 1; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def clock(seconds: float) -> str:
    """1:02:03 or 2:03."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
