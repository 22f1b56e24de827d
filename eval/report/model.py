"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engines.common.arrays import Image
from eval.scoring.results import Interval, Number, Score


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One photograph and what became of it."""

    name: str
    photo: Image
    results: Mapping[str, Image]
    """By candidate; of the photo's shape of side to side, at any size."""


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One checkpoint of a run."""

    step: int
    epoch: float
    metrics: Mapping[str, Number]
    """Keys are those of `eval.scoring.metric_registry.METRICS`."""
    best_for: frozenset[str] = frozenset()
    """The metrics by which no other checkpoint is better."""
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the report names it."""
        return f"step {self.step:,}"


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """Everything that `eval.report.page.write_report` puts on its page; what is empty is left out."""

    title: str
    scores: Sequence[Score] = ()
    """In the order in which they are shown; their names differ."""
    pictures: Sequence[PictureRow] = ()
    """The first `eval.report.embed.MAX_ROWS` are shown."""
    sweep: Sequence[SweepPoint] | None = None
    """By step."""
    film: Mapping[str, float] | None = None
    """Figures of a film by name; NAME-source and NAME-ratio stand beside NAME."""
    made_with: Mapping[str, object] = field(default_factory=dict)
    """Versions, the machine, the command; plain values."""
    tied: Mapping[str, frozenset[str] | set[str]] = field(default_factory=dict)
    """By metric, the candidates that the data do not tell from the best one; it may be among them."""
    untouched: str | None = None
    """The score whose pictures are the photographs themselves: shown for comparison, never the best."""
    asked: Sequence[str] = ()
    """Metrics that were asked for one by one: the best is named by the first of them."""
