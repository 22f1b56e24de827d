"""The results of scoring: figures with spread and interval, their protocol, and skipped files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Spread(NamedTuple):
    """A figure computed over several subsets or splits."""

    mean: float
    std: float
    """Population standard deviation over the subsets."""


class Interval(NamedTuple):
    """The 95 % confidence interval of a figure."""

    low: float
    high: float


Number = float | Spread


def value_of(number: Number) -> float:
    """Return a figure, or the mean of one with a spread."""
    return number.mean if isinstance(number, Spread) else number


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was skipped."""

    path: Path
    reason: str
    """A clause such as "grey" or "cannot be opened"."""


@dataclass(frozen=True, slots=True)
class Images:
    """The images that were scored."""

    photos: int
    cartoons: int
    skipped: tuple[Skipped, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """The time of one engine for an image of 1280x720 on this machine."""

    engine: str
    """Backend and precision, such as "openvino int8"."""
    quality: str
    """"full" or "fast"."""
    milliseconds: float
    """The median."""

    @property
    def fps(self) -> float:
        """Images per second, one after the other."""
        return 1000 / self.milliseconds


@dataclass(frozen=True, slots=True)
class Score:
    """One candidate's row of the table."""

    name: str
    metrics: dict[str, Number]
    """The keys are those of `eval.scoring.metric_registry.METRICS`."""
    protocol: dict[str, Any]
    """features, resize, weights_sha256, n, seed and everything else that the figures depend on; plain
    values.
    """
    images: Images
    intervals: dict[str, Interval] = field(default_factory=dict)
    parameters: int | None = None
    macs: int | None = None
    """Multiply-accumulates of the generator for one whole image of 1280x720."""
    costs: tuple[Cost, ...] = ()
