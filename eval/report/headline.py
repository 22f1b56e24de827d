"""What was scored and what came out, in a sentence each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eval.catalogue import METRICS, deciding
from eval.report.model import Report, SweepPoint
from eval.report.wording import best, decimals_for, listed, middle, written, written_interval
from eval.results import Score, Spread


def scored(report: Report) -> str:
    """How many candidates, photographs, drawings and checkpoints."""
    own = [score for score in report.scores if score.name != report.untouched]
    parts = []
    if own:
        parts.append(own[0].name if len(own) == 1 else _count(len(own), "candidate"))
        parts.append(_range((score.images.photos for score in own), "photograph"))
        parts.append(_range((score.images.cartoons for score in own), "drawing"))
    if report.sweep:
        parts.append(_count(len(report.sweep), "checkpoint"))
    return ", ".join(filter(None, parts))


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _range(numbers: Iterable[int], noun: str) -> str:
    counts = sorted(set(numbers))
    if counts == [0]:
        return ""
    return _count(counts[0], noun) if len(counts) == 1 else f"{counts[0]:,} to {_count(counts[-1], noun)}"


def answer(report: Report) -> str:
    """Which candidate or checkpoint is best by the metric that `deciding` names."""
    own = [score for score in report.scores if score.name != report.untouched]
    key = deciding((score.metrics for score in own), report.asked)
    if key:
        photos = [score for score in report.scores if score.name == report.untouched and key in score.metrics]
        return _of_scores(key, [score for score in own if key in score.metrics], photos, report)
    return _of_sweep(report.sweep, report.asked) if report.sweep else ""


def _of_scores(key: str, own: Sequence[Score], photos: Sequence[Score], report: Report) -> str:
    title = METRICS[key].title
    numbers = {score.name: score.metrics[key] for score in own}
    winners = best(key, numbers)
    decimals = decimals_for(middle(score.metrics[key]) for score in [*own, *photos])
    # Of the photographs beside themselves there is nothing to say.
    beside = "features" in METRICS[key].needs or "pixels" in METRICS[key].needs
    against = (
        f"; the untouched photographs have {_figure(photos[0], key, decimals)}" if photos and beside else ""
    )
    if not winners:
        return f"{title} is no number for any candidate."
    winner = next(score for score in own if score.name in winners)
    figure = _figure(winner, key, decimals)
    if len(own) == 1:
        return f"{winner.name} has {title} {figure}{against}."
    names = [score.name for score in own]
    if len(winners) > 1:
        equal = [name for name in names if name in winners]
        return f"By {title}, {listed(equal)} are best alike: {figure}{against}."
    tied = [name for name in names if name in report.tied.get(key, ()) and name not in winners]
    doubt = f", though {listed(tied)} cannot be told from it with 95\u00a0% confidence" if tied else ""
    return f"By {title}, {winner.name} is best: {figure}{doubt}{against}."


def _figure(score: Score, key: str, decimals: int) -> str:
    number = score.metrics[key]
    text = written(middle(number), decimals)
    if isinstance(number, Spread):
        text += f" ± {written(number.std, decimals)}"
    if key in score.intervals:
        text += f" {written_interval(score.intervals[key], decimals)}"
    return text


def _of_sweep(points: Sequence[SweepPoint], asked: Sequence[str]) -> str:
    key = deciding((point.metrics for point in points), asked)
    if key is None:
        return ""
    decimals = decimals_for(middle(point.metrics[key]) for point in points if key in point.metrics)
    chosen = next((point for point in points if key in point.best_for and key in point.metrics), None)
    if chosen is None:
        return ""
    figure = written(middle(chosen.metrics[key]), decimals)
    return f"By {METRICS[key].title}, {chosen.name} (epoch {chosen.epoch:.4g}) is best: {figure}."
