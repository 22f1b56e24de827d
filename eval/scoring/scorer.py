"""Scores: each candidate's pictures are made once and looked at by every metric that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engines.common.arrays import Image
from engines.common.image_files import read_image
from engines.errors import StreamtoonError
from engines.pretrained.downloads import require_weights
from engines.registry.style import Style
from eval.features.extract import RESIZE, extract, pixels
from eval.features.inception import CLASSES, FEATURES, Inception, load_inception
from eval.features.store import open_feature_store
from eval.features.vectors import FeatureVectors
from eval.metrics.artfid import artfid
from eval.metrics.fid import Moments, fid
from eval.metrics.inception_score import SPLITS, inception_score
from eval.metrics.kid import SUBSET_SIZE, SUBSETS, kid
from eval.metrics.li_score import accepted
from eval.metrics.lpips import LPIPS, lpips_of
from eval.metrics.mmd import median_distance, mmd
from eval.metrics.one_nn import one_nn
from eval.scoring.candidates import Candidate
from eval.scoring.cost import costs, generator_macs
from eval.scoring.image_set import ImageSet
from eval.scoring.metric_registry import METRICS
from eval.scoring.paired import PAIRED_PROTOCOL, ROUND_TRIP_METRICS, compare, require_same_sizes
from eval.scoring.results import Cost, Images, Number, Score, Skipped
from eval.scoring.selection import COST, select_metrics

MAX_RESULTS_IN_MEMORY = 32
"""Results in memory at once."""
PIXEL_METRIC_SIDE = 64
"""Side of the pictures that are compared pixel by pixel."""
DEPENDENT_METRICS = {"fid": ("artfid",), "1nn": ("1nn-real", "1nn-fake")}
"""What cannot be had either where a metric cannot."""

Tick = Callable[[], object]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """A score, and what intervals are taken from. Its features live as long as the scorer."""

    score: Score
    features: FeatureVectors | None
    pixels: FeatureVectors | None
    each: dict[str, Values]
    """Metric -> its value for every photograph."""


@dataclass(slots=True)
class _SeenResults:
    """What one pass over a candidate's results leaves."""

    features: FeatureVectors | None
    pixels: FeatureVectors | None
    each: dict[str, list[float]] = field(default_factory=dict)
    count: int = 0


def _weights(
    names: Iterable[str],
    photos: ImageSet | None,
    cartoons: ImageSet | None,
    inception: Path | None,
    vgg16: Path | None,
) -> dict[str, Path | None]:
    """The files of weights that these metrics look through, as `require_weights` takes them."""
    needs = {need for name in names if name != COST for need in METRICS[name].needs}
    found: dict[str, Path | None] = {}
    if "probabilities" in needs or ("features" in needs and cartoons is not None):
        found["inception"] = inception
    if "lpips" in needs and photos is not None:
        found["vgg16"] = vgg16
    return found


class Scorer:
    """Scores candidates on the same photographs against the same drawings. A context manager.

    `metrics` are keys of `METRICS`, and `cost`; None takes all that can be had here, and the protocol says
    why the others cannot. Without `cartoons` there is nothing to be near to, without `photos` nothing to be
    true to. Weights of Inception and VGG-16 come from the files named, or are downloaded once, when they are
    first needed. Raises StreamtoonError as `select_metrics` and `load_inception` do.
    """

    def __init__(
        self,
        *,
        photos: ImageSet | None,
        cartoons: ImageSet | None,
        metrics: Sequence[str] | None = None,
        inception: Path | None = None,
        vgg16: Path | None = None,
        seed: int = 0,
    ) -> None:
        self.photos, self.cartoons, self.seed = photos, cartoons, seed
        self.asked = tuple(metrics or ())
        self._inception_file, self._vgg_file = inception, vgg16
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._costs: dict[Style, tuple[Cost, ...]] = {}
        self._stack = ExitStack()
        # What both networks lack is told at once, so that nobody learns of the second in the next run.
        if metrics is None or METRICS.keys() >= {*metrics} - {COST}:
            require_weights(_weights(metrics or METRICS, photos, cartoons, inception, vgg16))
        self.plan = select_metrics(metrics, photos, cartoons, lambda: self.inception.has_classifier)
        self._store = open_feature_store()
        if self._store:
            self._stack.callback(self._store.close)

    def __enter__(self) -> Scorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def inception(self) -> Inception:
        """The network of FID, KID and IS."""
        return load_inception(self._inception_file, self._device)

    @cached_property
    def lpips(self) -> LPIPS:
        """The network of LPIPS."""
        return LPIPS(self._vgg_file, self._device)

    def see_drawings(self, tick: Tick | None = None) -> None:
        """Looks at the drawings with a tick for each; otherwise the first score does."""
        known = "drawings" in self.__dict__
        if self.cartoons is not None and self.plan.wants("features") and not known:
            self.__dict__["drawings"] = self._features_of(self.cartoons, tick)

    @cached_property
    def drawings(self) -> FeatureVectors:
        """The features of the drawings."""
        assert self.cartoons is not None
        return self._features_of(self.cartoons, None)

    @cached_property
    def drawn_pixels(self) -> FeatureVectors:
        """The pixels of the drawings."""
        assert self.cartoons is not None
        return self._stack.enter_context(pixels(self.cartoons, PIXEL_METRIC_SIDE))

    @cached_property
    def sigma(self) -> float:
        """MMD's, of the drawings alone, so that every candidate is measured by the same."""
        return median_distance(self.drawings.values, seed=self.seed)

    @cached_property
    def pixel_sigma(self) -> float:
        """The same for pixels."""
        return median_distance(self.drawn_pixels.values, seed=self.seed)

    @cached_property
    def _moments(self) -> Moments:
        return Moments.of(self.drawings.values)

    def paths(self, candidate: Candidate) -> Sequence[Path]:
        """What the candidate's results are made of, or they themselves; none where no metric looks."""
        if not self.plan.names:
            return ()
        return self.photos.paths if self.photos else candidate.own()

    def check_candidate(self, candidate: Candidate) -> None:
        """Raises StreamtoonError for what can be told before any of the candidate's pictures is made.

        Photos or results that are missing, no way back where one was asked for, no weights for LPIPS. Photos
        whose result is there and does not serve are left out, for every candidate that is scored after.
        """
        if self.plan.wants("round trip") and self.plan.strict and candidate.back is None:
            raise StreamtoonError(f"{candidate.name} has no way back to photographs; name one with --back")
        if self.photos and (unusable := candidate.unusable(self.photos.paths)):
            kept = tuple(path for path in self.photos.paths if path not in unusable)
            if not kept:
                raise StreamtoonError(f"{candidate.name}: none of its results can be scored")
            self.photos = replace(self.photos, paths=kept)
        candidate.pictures(self.paths(candidate))
        if self.plan.wants("lpips"):
            assert self.lpips

    def score(self, candidate: Candidate, tick: Tick | None = None) -> Scored:
        """The candidate's score, with a tick for each of its pictures.

        Raises StreamtoonError as the candidate and the metrics do: results of another size than their photo,
        fewer pictures than a metric needs that was asked for, features that are not numbers.
        """
        self.check_candidate(candidate)
        seen = self._pass(candidate, self.paths(candidate), tick)
        left_out = dict(self.plan.left_out)
        metrics = self._metrics(seen, left_out)
        counts = {"n": seen.count, "n_cartoons": len(self.cartoons or ())}
        protocol = {**self._protocol(metrics, min(counts.values())), **counts}
        if self.plan.wants("round trip") and candidate.back is None:
            left_out |= dict.fromkeys(ROUND_TRIP_METRICS, "needs a way back to photographs")
        if left_out:
            protocol["left_out"] = left_out
        style = candidate.style if self.plan.cost else None
        score = Score(
            name=candidate.name,
            metrics={name: metrics[name] for name in self.plan.names if name in metrics},
            protocol={**protocol, "candidate": candidate.facts},
            images=Images(seen.count, len(self.cartoons or ()), self._skipped(candidate)),
            parameters=style.parameters if style else None,
            macs=generator_macs(style.generator) if style else None,
            costs=self._cost(candidate) if style else (),
        )
        each = {name: np.array(values) for name, values in seen.each.items()}
        return Scored(score, seen.features, seen.pixels, each)

    def _features_of(self, pictures: ImageSet, tick: Tick | None) -> FeatureVectors:
        return self._stack.enter_context(extract(pictures, self.inception, self._store, tick=tick))

    def _pass(self, candidate: Candidate, paths: Sequence[Path], tick: Tick | None) -> _SeenResults:
        """Makes every result and looks at it, a few at a time."""
        plan, probable = self.plan, self.plan.wants("probabilities")
        seen = _SeenResults(None, None)
        if plan.wants("features", "probabilities"):
            seen.features = self._stack.enter_context(FeatureVectors(FEATURES, CLASSES if probable else 0))
        if plan.wants("pixels"):
            seen.pixels = self._stack.enter_context(FeatureVectors(3 * PIXEL_METRIC_SIDE**2))
        pictures = candidate.pictures(paths)
        while results := list(islice(pictures, MAX_RESULTS_IN_MEMORY)):
            here = paths[seen.count : seen.count + len(results)]
            if plan.wants("pairs", "round trip"):
                self._pairs(candidate, here, results, seen)
            if seen.features is not None:
                with extract(
                    results, self.inception, self._store, probabilities=probable, before=seen.count
                ) as part:
                    seen.features.put(seen.count, part.values, part.probabilities)
            if seen.pixels is not None:
                with pixels(results, PIXEL_METRIC_SIDE) as part:
                    seen.pixels.put(seen.count, part.values)
            seen.count += len(results)
            for _ in results:
                if tick:
                    tick()
        return seen

    def _pairs(
        self, candidate: Candidate, paths: Sequence[Path], results: Sequence[Image], seen: _SeenResults
    ) -> None:
        photos = list(map(read_image, paths))
        if self.plan.wants("pairs") or candidate.back:
            require_same_sizes(candidate.name, paths, photos, results)
        found = compare(self.plan.names, photos, results, candidate.back)
        if self.plan.wants("lpips"):
            found["lpips"] = lpips_of(zip(photos, results, strict=True), self.lpips).tolist()
        for name, values in found.items():
            seen.each.setdefault(name, []).extend(values)

    def _metrics(self, seen: _SeenResults, left_out: dict[str, str]) -> dict[str, Number]:
        """Every metric that can be had by name; what a set is too small for goes to `left_out`."""
        found: dict[str, Number] = {name: float(np.mean(values)) for name, values in seen.each.items()}
        for name, compute in self._set_metrics(seen):
            try:
                found |= compute()
            except StreamtoonError as error:
                if self.plan.strict:
                    raise
                left_out |= dict.fromkeys(
                    {name, *DEPENDENT_METRICS.get(name, ())} & {*self.plan.names}, str(error)
                )
        distance, lost = found.get("fid"), found.get("lpips")
        if isinstance(distance, float) and isinstance(lost, float):
            found["artfid"] = artfid(lost, distance)
        return found

    def _set_metrics(self, seen: _SeenResults) -> Iterator[tuple[str, Callable[[], dict[str, Number]]]]:
        """How the metrics on sets are computed, each under the name that it is asked for by."""
        names, seed = {*self.plan.names}, self.seed
        if self.plan.wants("features") and seen.features is not None:
            fake, real = seen.features.values, self.drawings.values
            if names & {"fid", "artfid"}:
                yield "fid", lambda: {"fid": fid(self._moments, Moments.of(fake))}
            if "kid" in names:
                yield "kid", lambda: {"kid": kid(real, fake, seed=seed)}
            if "mmd" in names:
                yield "mmd", lambda: {"mmd": mmd(real, fake, sigma=self.sigma)}
            if names & {"1nn", "1nn-real", "1nn-fake"}:
                keys = ("1nn", "1nn-real", "1nn-fake")
                yield "1nn", lambda: dict(zip(keys, one_nn(real, fake, seed=seed), strict=True))
        if "is" in names and seen.features is not None:
            likely = seen.features.probabilities
            assert likely is not None
            yield "is", lambda: {"is": inception_score(likely, seed=seed)}
        if seen.pixels is not None:
            small, drawn = seen.pixels.values, self.drawn_pixels.values
            if "mmd-pixel" in names:
                yield "mmd-pixel", lambda: {"mmd-pixel": mmd(drawn, small, sigma=self.pixel_sigma)}
            if "1nn-pixel" in names:
                yield "1nn-pixel", lambda: {"1nn-pixel": one_nn(drawn, small, seed=seed).accuracy}

    def _protocol(self, metrics: Mapping[str, Number], smaller: int) -> dict[str, Any]:
        """What the found metrics hang on; `smaller` is the number of pictures in the smaller set."""
        facts: dict[str, Any] = {"seed": self.seed}
        if self.plan.wants("features", "probabilities"):
            facts |= {
                "features": "Inception-v3 of 2015-12-05, 2048 features of the last pool",
                "resize": RESIZE,
                "weights_sha256": self.inception.weights_sha256,
            }
        if "kid" in metrics:
            facts["kid"] = f"{SUBSETS} subsets of {min(SUBSET_SIZE, smaller)}, deviation between them"
        if "is" in metrics:
            facts["is"] = f"{SPLITS} splits, shuffled"
        if "mmd" in metrics:
            facts["mmd_sigma"] = self.sigma
        if "mmd-pixel" in metrics:
            facts["mmd_pixel_sigma"] = self.pixel_sigma
        if self.plan.wants("pixels"):
            facts["pixels"] = f"{PIXEL_METRIC_SIDE}x{PIXEL_METRIC_SIDE} RGB in 0..1, mean of areas"
        if self.plan.wants("pairs", "round trip"):
            facts["pairs"] = PAIRED_PROTOCOL
        if self.plan.wants("lpips"):
            facts |= {"lpips": "0.1 on VGG-16", "vgg16_sha256": self.lpips.weights_sha256}
        if isinstance(score := metrics.get("li"), float):
            facts["li_accepted"] = accepted(score)
        return facts

    def _skipped(self, candidate: Candidate) -> tuple[Skipped, ...]:
        sets = [*(p.skipped for p in (self.photos, self.cartoons) if p), candidate.skipped]
        return tuple(dict.fromkeys(one for part in sets for one in part))

    def _cost(self, candidate: Candidate) -> tuple[Cost, ...]:
        """Once for a style and for its lite form, whatever the other words behind its name."""
        style = candidate.style
        assert style is not None
        if style not in self._costs:
            grey = np.full((720, 1280, 3), 128, np.uint8)
            photo = read_image(self.photos.paths[0]) if self.photos else grey
            self._costs[style] = costs(style, photo)
        return self._costs[style]
