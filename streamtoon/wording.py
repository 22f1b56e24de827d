"""Formatting facts for people: numbers with nouns, durations, sizes and engine settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamtoon.reports import EngineReport


def counted(number: int, noun: str) -> str:
    """Format a number with its noun: "1 frame", "2 frames"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def clock(seconds: float) -> str:
    """Format seconds as 2:03, with hours as 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(count: float) -> str:
    """Format bytes in decimal units, like file managers: "512 bytes", "1.4 kB", "12 MB", "3.2 GB"."""
    if count < 1000:
        return counted(round(count), "byte")
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 999.5 or unit == "GB":
            break
    return f"{count:.1f} {unit}" if count < 10 else f"{count:.0f} {unit}"


def length(seconds: float) -> str:
    """Format a duration in seconds: "0.4 s" below a second, else like `clock`."""
    return f"{seconds:.1f} s" if seconds < 0.95 else clock(seconds)


def drawn_as(engine: EngineReport) -> str:
    """Return a sentence with the style and quality of an engine."""
    quality = f"detail {engine.scale:g}" if engine.quality == "custom" else f"quality {engine.quality}"
    return f"Style {engine.style}, {quality}."
