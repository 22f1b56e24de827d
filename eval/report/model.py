"""The contents of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engines.common.arrays import Image
from eval.scoring.results import Interval, Number, Score


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One photograph with its results."""

    name: str
    photo: Image
    results: Mapping[str, Image]
    """By candidate. They have the photo's aspect ratio and any size."""


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One checkpoint of a run."""

    step: int
    epoch: float
    metrics: Mapping[str, Number]
    """The keys are those of `eval.scoring.metric_registry.METRICS`."""
    best_for: frozenset[str] = frozenset()
    """The metrics for which no other checkpoint is better."""
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the checkpoint's name in the report."""
        return f"step {self.step:,}"


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """Everything that `eval.report.page.write_report` shows. Empty parts are left out."""

    title: str
    scores: Sequence[Score] = ()
    """In display order, with different names."""
    pictures: Sequence[PictureRow] = ()
    """The report shows the first `eval.report.embed.MAX_ROWS`."""
    sweep: Sequence[SweepPoint] | None = None
    """Ordered by training step."""
    film: Mapping[str, float] | None = None
    """Figures of a video by name. NAME-source and NAME-ratio accompany NAME."""
    made_with: Mapping[str, object] = field(default_factory=dict)
    """Versions, the machine and the command, as plain values."""
    tied: Mapping[str, frozenset[str] | set[str]] = field(default_factory=dict)
    """For each metric, the candidates that the data cannot distinguish from the best one. It may be
    included.
    """
    untouched: str | None = None
    """The score whose results are the photographs themselves. It is shown for comparison and never the
    best.
    """
    asked: Sequence[str] = ()
    """Metrics that the user requested. The first of them decides which candidate is best."""
