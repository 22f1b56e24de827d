"""Score a run's checkpoints one after the other and select the best."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eval.report.model import SweepPoint
from eval.scoring.checkpoints import Checkpoint
from eval.scoring.comparison import compare_scores
from eval.scoring.metric_registry import METRICS
from eval.scoring.results import Score, value_of
from eval.scoring.scorer import Scorer


def sweep(
    checkpoints: Sequence[Checkpoint], scorer: Scorer, tick: Callable[[], object] | None = None
) -> tuple[list[SweepPoint], list[Score]]:
    """Return a point and a score for each checkpoint, with a tick for every image of every checkpoint."""
    scored = []
    for checkpoint in checkpoints:
        with checkpoint.open() as candidate:
            scored.append(scorer.score(candidate, tick))
    scores = compare_scores(scored, scorer).scores
    best: dict[str, str] = {
        name: min(scores, key=lambda score: _badness(name, score)).name
        for name in METRICS
        if all(name in score.metrics for score in scores)
    }
    points = [
        SweepPoint(
            checkpoint.step,
            checkpoint.epoch,
            score.metrics,
            frozenset(name for name, who in best.items() if who == score.name),
            score.intervals,
        )
        for checkpoint, score in zip(checkpoints, scores, strict=True)
    ]
    return points, list(scores)


def _badness(name: str, score: Score) -> float:
    value = value_of(score.metrics[name])
    return {"lower": value, "higher": -value, "nearer 0.5": abs(value - 0.5)}[METRICS[name].better]
