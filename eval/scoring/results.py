"""What a scoring gives: numbers with spread and interval, the protocol behind them, what was skipped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Spread(NamedTuple):
    """A figure taken over several subsets or splits."""

    mean: float
    std: float
    """Population deviation over the subsets."""


class Interval(NamedTuple):
    """Where a figure lies with 95 % confidence."""

    low: float
    high: float


Number = float | Spread


def value_of(number: Number) -> float:
    """A figure, or the mean of one with a spread."""
    return number.mean if isinstance(number, Spread) else number


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out."""

    path: Path
    reason: str
    """A clause for people: "grey", "cannot be opened"."""


@dataclass(frozen=True, slots=True)
class Images:
    """What a scoring looked at."""

    photos: int
    cartoons: int
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What one engine takes for one 1280x720 picture on this machine."""

    engine: str
    """Backend and precision, such as "openvino int8"."""
    quality: str
    """"full" or "fast"."""
    milliseconds: float
    """Median."""

    @property
    def fps(self) -> float:
        """Pictures a second, one after the other."""
        return 1000 / self.milliseconds


@dataclass(frozen=True, slots=True)
class Score:
    """One candidate's row of the table."""

    name: str
    metrics: dict[str, Number]
    """Keys are those of `eval.scoring.metric_registry.METRICS`."""
    protocol: dict[str, Any]
    """features, resize, weights_sha256, n, seed and what else the numbers hang on; plain values."""
    images: Images
    intervals: dict[str, Interval] = field(default_factory=dict)
    parameters: int | None = None
    macs: int | None = None
    """Multiply-accumulates for one 1280x720 picture seen whole by the generator."""
    costs: tuple[Cost, ...] = ()
