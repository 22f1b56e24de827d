"""Detects, while drawing, that a style is too slow for live video on this machine."""

from __future__ import annotations

from fractions import Fraction

MIN_FPS = 12.0
"""Below this rate, drawings are not seen as motion; animated films have at least 12 drawings per second."""
MIN_SHARE = 0.75
"""Minimum share of a source's own rate, if that gives a lower limit."""
AFTER_S = 6.0
"""A style counts as too slow after this time without a break."""


class SlowWatch:
    """Reports each slow style once."""

    def __init__(self, rate: Fraction | None) -> None:
        """`rate` is the frame rate of the source; None if unknown."""
        self.least_fps = MIN_FPS if rate is None else min(MIN_FPS, MIN_SHARE * float(rate))
        self._said: set[str] = set()
        self._style = ""
        self._since: float | None = None
        self._dropped = 0

    def is_news(self, style: str, fps: float, dropped: int, now: float) -> bool:
        """Return whether to report now that a style is too slow. Call it regularly while it draws.

        `fps` is the output rate, `dropped` the number of dropped frames since the start, and `now`
        time.monotonic(). A style is not too slow as long as no frame is dropped: the source is.
        """
        if fps >= self.least_fps or style != self._style or self._since is None:
            self._style, self._since, self._dropped = style, now, dropped
        if now - self._since < AFTER_S or dropped == self._dropped or style in self._said:
            return False
        self._said.add(style)
        return True

    def pause(self) -> None:
        """Pause while nothing is drawn, or while the style changes."""
        self._since = None


def advice(quality: str, *, has_lite: bool) -> str:
    """Return advice, as a clause, on how to draw faster than in this quality."""
    if quality != "lite" and has_lite:
        return "--quality lite is faster"
    if quality in ("full", "custom"):
        return "--quality fast is faster"
    return "smaller frames (--size 640x360) or another style are faster"
