"""Describe what was scored and the result in one sentence each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from eval.report.formatting import (
    best,
    central_value,
    decimals_for,
    format_interval,
    format_number,
    join_words,
)
from eval.report.model import ScoreReport, SweepPoint
from eval.scoring.metric_registry import METRICS, deciding_metric
from eval.scoring.results import Score, Spread

MIN_IMAGES_FOR_RANK, RECOMMENDED_IMAGES = 2048, 10_000
"""Numbers of images: below the number of features, covariances lack rank; the authors recommend the
second.
"""


def scored(report: ScoreReport) -> str:
    """Return the numbers of candidates, photographs, drawings and checkpoints as a sentence."""
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


def answer(report: ScoreReport) -> str:
    """Return which candidate or checkpoint is best by the metric that `deciding_metric` selects."""
    own = [score for score in report.scores if score.name != report.untouched]
    key = deciding_metric((score.metrics for score in own), report.asked)
    if key:
        photos = [score for score in report.scores if score.name == report.untouched and key in score.metrics]
        return _of_scores(key, [score for score in own if key in score.metrics], photos, report)
    return _of_sweep(report.sweep, report.asked) if report.sweep else ""


def small_set_warning(scores: Iterable[Score]) -> str:
    """Return a warning if there are too few images for FID, otherwise "".

    `RECOMMENDED_IMAGES` and `MIN_IMAGES_FOR_RANK` come from the README of TTUR, the code of FID's authors
    (Heusel et al., 2017).
    """
    counts = [
        min(score.images.photos, score.images.cartoons)
        for score in scores
        if {"fid", "artfid"} & {*score.metrics}
    ]
    if not counts or min(counts) > MIN_IMAGES_FOR_RANK:
        return ""
    return (
        f"FID and ArtFID of {_count(min(counts), 'image')} mean little on their own: FID's "
        f"authors require more than {MIN_IMAGES_FOR_RANK:,} and recommend "
        f"{RECOMMENDED_IMAGES:,}. KID has no such bias."
    )


def _of_scores(key: str, own: Sequence[Score], photos: Sequence[Score], report: ScoreReport) -> str:
    title = METRICS[key].title
    numbers = {score.name: score.metrics[key] for score in own}
    winners = best(key, numbers)
    decimals = decimals_for(central_value(score.metrics[key]) for score in [*own, *photos])
    # Comparing the photographs with themselves says nothing.
    is_comparable = "features" in METRICS[key].needs or "pixels" in METRICS[key].needs
    against = (
        f"; the untouched photographs score {_figure(photos[0], key, decimals)}"
        if photos and is_comparable
        else ""
    )
    if not winners:
        return f"{title} is not a number for any candidate."
    winner = next(score for score in own if score.name in winners)
    figure = _figure(winner, key, decimals)
    if len(own) == 1:
        return f"{winner.name} has {title} {figure}{against}."
    names = [score.name for score in own]
    if len(winners) > 1:
        equal = [name for name in names if name in winners]
        return f"By {title}, {join_words(equal)} are equally good: {figure}{against}."
    tied = [name for name in names if name in report.tied.get(key, ()) and name not in winners]
    doubt = (
        f", but {join_words(tied)} cannot be distinguished from it with 95\u00a0% confidence" if tied else ""
    )
    return f"By {title}, {winner.name} is best: {figure}{doubt}{against}."


def _figure(score: Score, key: str, decimals: int) -> str:
    number = score.metrics[key]
    text = format_number(central_value(number), decimals)
    if isinstance(number, Spread):
        text += f" ± {format_number(number.std, decimals)}"
    if key in score.intervals:
        text += f" {format_interval(score.intervals[key], decimals)}"
    return text


def _of_sweep(points: Sequence[SweepPoint], asked: Sequence[str]) -> str:
    key = deciding_metric((point.metrics for point in points), asked)
    if key is None:
        return ""
    decimals = decimals_for(central_value(point.metrics[key]) for point in points if key in point.metrics)
    chosen = next((point for point in points if key in point.best_for and key in point.metrics), None)
    if chosen is None:
        return ""
    figure = format_number(central_value(chosen.metrics[key]), decimals)
    return f"By {METRICS[key].title}, {chosen.name} (epoch {chosen.epoch:.4g}) is best: {figure}."
