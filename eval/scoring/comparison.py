"""Compare candidates: 95 % intervals, and which candidates cannot be distinguished from the best."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from engines.errors import StreamtoonError
from eval.scoring.candidates import UNTOUCHED
from eval.scoring.metric_registry import METRICS
from eval.scoring.results import Interval, Score, value_of
from eval.scoring.scorer import Scored, Scorer
from eval.statistics.bootstrap import (
    MIN_IMAGES,
    Resamples,
    fid_replicates,
    interval,
    mean_replicates,
    mmd2_replicates,
    one_nn_replicates,
    ties,
)
from eval.statistics.feature_sets import Array
from eval.statistics.kernels import gaussian, polynomial

METRIC_RANGES = {
    "1nn": (0.0, 1.0),
    "1nn-pixel": (0.0, 1.0),
    "lpips": (0.0, np.inf),
    "fid": (0.0, np.inf),
    "artfid": (1.0, np.inf),
}
"""Ranges of the metrics. Intervals are clipped to them."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Scores with their intervals, and for each metric the names that tie with the best."""

    scores: tuple[Score, ...]
    tied: dict[str, frozenset[str]]


def compare_scores(
    scored: Sequence[Scored], scorer: Scorer, tick: Callable[[], object] | None = None
) -> Comparison:
    """Compute intervals for every metric that supports a bootstrap over images. `tick` is called per score.

    All candidates share the same resamples. The contribution of a photograph to all of them cancels in their
    differences, which decide on ties. The untouched photos are not a candidate and never tie.
    """
    resamples = Resamples(scorer.seed)
    replicates: dict[str, dict[str, Array]] = {}
    scores = []
    for one in scored:
        found = _replicates(one, scorer, resamples)
        intervals = {
            name: interval(
                values, value_of(one.score.metrics[name]), METRIC_RANGES.get(name, (-np.inf, np.inf))
            )
            for name, values in found.items()
        }
        scores.append(
            replace(one.score, intervals=intervals, protocol=_protocol(one.score, intervals, resamples))
        )
        for name, values in found.items():
            replicates.setdefault(name, {})[one.score.name] = values
        if tick:
            tick()
    tied = {name: _tied(name, values, scores) for name, values in replicates.items()}
    return Comparison(tuple(scores), {name: names for name, names in tied.items() if names})


def _protocol(score: Score, intervals: Mapping[str, Interval], resamples: Resamples) -> dict[str, Any]:
    """Return the score's protocol with how its intervals were computed, or why there are none."""
    if intervals:
        how = f"95 %, bootstrap over images, {resamples.count} resamples"
        return {**score.protocol, "intervals": how}
    if not 0 < score.images.photos < MIN_IMAGES:
        return score.protocol
    why = {"intervals": f"needs at least {MIN_IMAGES} images, but there are {score.images.photos}"}
    return {**score.protocol, "left_out": {**score.protocol.get("left_out", {}), **why}}


def _tied(name: str, replicates: Mapping[str, Array], scores: Sequence[Score]) -> frozenset[str]:
    own = {key: values for key, values in replicates.items() if key != UNTOUCHED}
    estimates = {s.name: value_of(s.metrics[name]) for s in scores if s.name in own}
    return frozenset(ties(own, estimates, METRICS[name].better)) if own else frozenset()


def _replicates(one: Scored, scorer: Scorer, resamples: Resamples) -> dict[str, Array]:
    """Return metric -> one value per resample. Sets that are too small have no intervals."""
    names = one.score.metrics
    ways: dict[str, Callable[[], Array]] = {
        name: partial(mean_replicates, values, resamples)
        for name, values in one.each.items()
        if np.isfinite(values).all()
    }
    if one.features is not None and scorer.plan.wants("features"):
        real, fake = scorer.drawings.values, one.features.values
        ways["fid"] = partial(fid_replicates, real, fake, resamples)
        ways["kid"] = partial(mmd2_replicates, real, fake, polynomial, resamples)
        ways["1nn"] = partial(one_nn_replicates, real, fake, resamples, seed=scorer.seed)
        if "mmd" in names:
            kernel = partial(gaussian, sigma=scorer.sigma)
            ways["mmd"] = partial(mmd2_replicates, real, fake, kernel, resamples)
    found: dict[str, Array] = {}
    for name, way in ways.items():
        if name in names or (name == "fid" and "artfid" in names):
            try:
                found[name] = way()
            except StreamtoonError:  # too few images for an interval; the score remains
                continue
    if "artfid" in names and found.keys() >= {"fid", "lpips"}:
        found["artfid"] = (1 + found["lpips"]) * (1 + found["fid"])
    return {name: values for name, values in found.items() if name in names}
