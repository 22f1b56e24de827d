"""Settings of a server: style, engine and limits."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from engines.common.defaults import STABILIZE
from engines.errors import StyleError
from engines.registry.look_changes import as_texts, with_look
from engines.registry.style import SHIPPED, Style, load_style, shipped_names, user_style_names
from engines.settings import EngineSettings
from engines.spec import NAMED_QUALITIES
from streamtoon.errors import InputError

MEGABYTE = 1_000_000
log = logging.getLogger("streamtoon.web.serve")
LONG_SIDE = 16384
"""Longest side of a frame in pixels, as for files."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for clients. What exceeds one raises InputError with a message for the user."""

    sessions: int = 4
    """Number of live sessions and files at the same time."""
    upload: int = 500
    """Size of a file, megabytes."""
    pixels: float = 9.0
    """Size of a frame, megapixels; 9 allows 4K."""
    duration: float = 600.0
    """Length of a video, seconds."""

    def require_pixels(self, width: int, height: int) -> None:
        """Raise InputError if a frame is too large."""
        if width * height > self.pixels * 1e6 or max(width, height) > LONG_SIDE:
            raise InputError(
                f"The frames are {width}x{height}; the limit of this server is {self.pixels:g} megapixels."
            )

    def require_duration(self, seconds: float) -> None:
        """Raise InputError if a video is too long."""
        if seconds > self.duration:
            raise InputError(
                f"The video is {clock(seconds)} long; the limit of this server is {clock(self.duration)}. "
                "Choose a shorter range."
            )

    def require_upload(self, size: int) -> None:
        """Raise InputError if a file of `size` bytes is too large."""
        if size > self.upload * MEGABYTE:
            raise InputError(f"The file is too large; the limit of this server is {self.upload} MB.")


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """The settings of one server, from the command line."""

    style: str
    """The default style: a name or a folder."""
    look: dict[str, str] = field(default_factory=dict)
    """Changes to the look of that style."""
    strength: float = 1.0
    stabilize: float = STABILIZE
    """Temporal smoothing of live video, 0 to 1."""
    clarity: float = 0.0
    """Local contrast that the network sees in live video and files, 0 to 1."""
    engine: dict[str, str] = field(default_factory=dict)
    """backend, device, precision, quality of `streamtoon.live.renderer.LiveRenderer`."""
    limits: Limits = Limits()
    stun: str | None = None
    """HOST:PORT of a STUN server; None uses none."""
    replica: str = ""
    """Name of this server among several behind a load balancer; visits begin with it."""
    drain_s: float = 0.0
    """How long SIGTERM waits for files to be drawn and downloaded, seconds; 0 ends the server at once."""

    def engine_settings(self, style: Style, strength: float) -> EngineSettings:
        """Return how live frames are rendered in a style."""
        return EngineSettings(
            style,
            backend=self.engine.get("backend", "auto"),
            device=self.engine.get("device", "auto"),
            precision=self.engine.get("precision", "auto"),
            quality=self.engine.get("quality", "auto"),
            strength=strength,
            stabilize=self.stabilize,
            clarity=self.clarity,
        )

    def styles(self) -> dict[str, Style]:
        """Return the styles on offer, by name: the default first, then the shipped and the user's own styles.

        Styles that lack the server's quality and broken styles of the user are skipped, with a warning in the
        log. Raises StyleError for any other broken style.
        """
        first = with_look(load_style(self.style), self.look)
        quality = self.engine.get("quality", "auto")
        if (why := self._lacking(first, quality)) is not None:
            raise StyleError(f"{why}; choose another --style or --quality")
        found = {first.name: first}
        for name in shipped_names():
            if name not in found:
                found[name] = load_style(name)
        for name in user_style_names():
            if name not in found:
                try:
                    found[name] = load_style(name)
                except StyleError as error:
                    log.warning("skipping style %s: %s", name, error)
        lacking = {name: self._lacking(style, quality) for name, style in found.items()}
        for why in filter(None, lacking.values()):
            log.warning("skipping a style: %s", why)
        return {name: style for name, style in found.items() if lacking[name] is None}

    def qualities(self, style: Style) -> tuple[str, ...]:
        """Return the qualities for files, best first: all that the style has, or the server's own."""
        asked = self.engine.get("quality", "auto")
        offered: tuple[str, ...] = NAMED_QUALITIES if asked == "auto" else (asked,)
        return tuple(quality for quality in offered if self._lacking(style, quality) is None)

    def previews(self, styles: Mapping[str, Style]) -> dict[str, Path]:
        """Return the before/after images of shipped styles with an unchanged look, by style."""
        changed = next(iter(styles)) if self.look else None
        return {
            name: style.preview
            for name, style in styles.items()
            if style.preview is not None and style.folder.parent == SHIPPED and name != changed
        }

    def _lacking(self, style: Style, quality: str) -> str | None:
        """Return what a style lacks for a quality, as a clause; None if nothing."""
        if quality == "lite" and style.lite is None:
            return f"style {style.name} has no lite network"
        if self.engine.get("precision") == "int8" and style.form(quality).int8_graph is None:
            return f"style {style.name} has no int8 graph"
        return None


def require_range(start: float | None, end: float | None) -> None:
    """Check a range in seconds; None is the start or end of the video. Raises InputError."""
    first, last = start or 0.0, inf if end is None else end
    if not 0 <= first < inf or not first < last:  # also false for NaN
        raise InputError("The range must start at 0 or later, and end after its start.")


def is_share(value: Any) -> bool:
    """Return whether a value is a number from 0 to 1, and not a bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def look_changes(value: Any) -> dict[str, str]:
    """Return the changes to a look, as texts. Raises InputError and StyleError."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(
        isinstance(each, str | int | float) and not isinstance(each, bool) for each in value.values()
    ):
        raise InputError("look must be a JSON object of numbers and texts.")
    return as_texts(value)


def clock(seconds: float) -> str:
    """Format a duration as 1:02:03 or 2:03."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
