"""Score candidates: the results are made once, and every requested metric uses them."""

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
"""Results in memory at a time."""
PIXEL_METRIC_SIDE = 64
"""Side of the images whose pixels are compared."""
DEPENDENT_METRICS = {"fid": ("artfid",), "1nn": ("1nn-real", "1nn-fake")}
"""Metrics that are not available either if a metric is not."""

Tick = Callable[[], object]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """A score with the data for its intervals. Its features live as long as the scorer."""

    score: Score
    features: FeatureVectors | None
    pixels: FeatureVectors | None
    each: dict[str, Values]
    """Metric -> its value for every photograph."""


@dataclass(slots=True)
class _SeenResults:
    """The data of one pass over a candidate's results."""

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
    """Return the weight files that these metrics need, as `require_weights` takes them."""
    needs = {need for name in names if name != COST for need in METRICS[name].needs}
    found: dict[str, Path | None] = {}
    if "probabilities" in needs or ("features" in needs and cartoons is not None):
        found["inception"] = inception
    if "lpips" in needs and photos is not None:
        found["vgg16"] = vgg16
    return found


class Scorer:
    """Scores candidates on the same photographs against the same drawings. It is a context manager.

    Weights of Inception and VGG-16 come from the given files, or are downloaded once when they are first
    needed. Raises StreamtoonError as `select_metrics` and `load_inception` do.

    Args:
        photos: The photographs. None leaves out the metrics that compare with them.
        cartoons: The drawings of the style. None leaves out the metrics that compare with them.
        metrics: Keys of `METRICS`, and `cost`. None selects all that are available; the protocol says why
            others are not.
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
        # Missing weights of both networks are reported together, not in two runs.
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
        """Compute the features of the drawings with a tick for each. Otherwise the first score does."""
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
        """The sigma of MMD, computed from the drawings only, so that it is the same for all candidates."""
        return median_distance(self.drawings.values, seed=self.seed)

    @cached_property
    def pixel_sigma(self) -> float:
        """The sigma of MMD between pixels."""
        return median_distance(self.drawn_pixels.values, seed=self.seed)

    @cached_property
    def _moments(self) -> Moments:
        return Moments.of(self.drawings.values)

    def paths(self, candidate: Candidate) -> Sequence[Path]:
        """Return the candidate's photos, or its own results. It is empty if no metric needs them."""
        if not self.plan.names:
            return ()
        return self.photos.paths if self.photos else candidate.own()

    def check_candidate(self, candidate: Candidate) -> None:
        """Check everything that can be checked before the candidate's images are made.

        Raises StreamtoonError for missing photos or results, a missing reverse direction if it was requested,
        and missing weights of LPIPS. Photos with an unusable result are left out for all candidates that are
        scored later.
        """
        if self.plan.wants("round trip") and self.plan.strict and candidate.back is None:
            raise StreamtoonError(
                f"{candidate.name} has no generator of the reverse direction; give one with --back"
            )
        if self.photos and (unusable := candidate.unusable(self.photos.paths)):
            kept = tuple(path for path in self.photos.paths if path not in unusable)
            if not kept:
                raise StreamtoonError(f"{candidate.name}: none of its results can be scored")
            self.photos = replace(self.photos, paths=kept)
        candidate.pictures(self.paths(candidate))
        if self.plan.wants("lpips"):
            assert self.lpips

    def score(self, candidate: Candidate, tick: Tick | None = None) -> Scored:
        """Return the candidate's score, with a tick for each image.

        Raises StreamtoonError as candidate and metrics do: for results whose size differs from their photo,
        fewer images than a requested metric needs, and features that are not finite.
        """
        self.check_candidate(candidate)
        seen = self._pass(candidate, self.paths(candidate), tick)
        left_out = dict(self.plan.left_out)
        metrics = self._metrics(seen, left_out)
        counts = {"n": seen.count, "n_cartoons": len(self.cartoons or ())}
        protocol = {**self._protocol(metrics, min(counts.values())), **counts}
        if self.plan.wants("round trip") and candidate.back is None:
            left_out |= dict.fromkeys(ROUND_TRIP_METRICS, "needs a generator of the reverse direction")
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
        """Make every result and process it, a few at a time."""
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
        """Return every available metric by name. Reasons for sets that are too small go to `left_out`."""
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
        """Yield the computations of set metrics, each with the name that users request."""
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
        """Return what the computed metrics depend on. `smaller` is the number of images in the smaller
        set.
        """
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
        """Return the cost, computed once per style and once for its lite form, whatever the other words."""
        style = candidate.style
        assert style is not None
        if style not in self._costs:
            grey = np.full((720, 1280, 3), 128, np.uint8)
            photo = read_image(self.photos.paths[0]) if self.photos else grey
            self._costs[style] = costs(style, photo)
        return self._costs[style]
