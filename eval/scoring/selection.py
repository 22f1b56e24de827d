"""Which metrics can be had: of those asked for all or a sentence, of the others as many as there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engines.errors import StreamtoonError
from eval.metrics.flat import MINIMUM_SIDE as FLAT_SIDE
from eval.metrics.lpips import MINIMUM_SIDE as LPIPS_SIDE
from eval.metrics.ms_ssim import MINIMUM_SIDE as MS_SSIM_SIDE
from eval.metrics.outline import MINIMUM_SIDE as OUTLINE_SIDE
from eval.metrics.ssim import WINDOW as SSIM_SIDE
from eval.scoring.image_set import ImageSet
from eval.scoring.metric_registry import METRICS, Needs

COST = "cost"
"""Beside the metrics, what can be asked for, and is left out otherwise, as timing every engine takes minutes:
parameters, multiply-accumulates, times at 720p."""


@dataclass(frozen=True, slots=True)
class MetricSelection:
    """What is to be computed."""

    names: tuple[str, ...]
    """Keys of `METRICS`, in its order."""
    left_out: dict[str, str]
    """The other metrics, and why."""
    cost: bool
    strict: bool
    """The names were asked for one by one: each of them, or an error."""

    def wants(self, *needs: Needs) -> bool:
        """Whether any metric needs any of these."""
        return any(METRICS[name].needs & {*needs} for name in self.names)


def select_metrics(
    asked: Sequence[str] | None,
    photos: ImageSet | None,
    cartoons: ImageSet | None,
    has_classifier: Callable[[], bool],
) -> MetricSelection:
    """The plan for these metrics, or with None for all that these sets of pictures allow.

    Raises StreamtoonError for a name that is not known, or one that was asked for and cannot be had.
    """
    for name in asked or ():
        if name not in METRICS and name != COST:
            raise StreamtoonError(f"unknown metric {name!r}: known are {', '.join([*METRICS, COST])}")
    names, left_out = [], {}
    for name in METRICS:
        if asked is not None and name not in asked:
            continue
        why = _unavailable_reason(name, photos, cartoons, has_classifier)
        if not why:
            names.append(name)
        elif asked is not None:
            raise StreamtoonError(f"{name} {why}")
        else:
            left_out[name] = why
    return MetricSelection(tuple(names), left_out, COST in (asked or ()), asked is not None)


def _unavailable_reason(
    name: str, photos: ImageSet | None, cartoons: ImageSet | None, has_classifier: Callable[[], bool]
) -> str:
    needs = METRICS[name].needs
    if needs & {"features", "pixels"} and cartoons is None:
        return "needs drawings to compare with: name their folder with --cartoons"
    if needs & {"pairs", "round trip"} and photos is None:
        return "needs the photos that the results were made of: name their folder with --photos"
    if "probabilities" in needs and not has_classifier():
        return "needs Inception's classifier, which this file of weights does not have"
    side = {"flat": FLAT_SIDE, "outline": OUTLINE_SIDE}.get(name, LPIPS_SIDE if "lpips" in needs else 0)
    if "ssim" in name or name == "li":
        side = MS_SSIM_SIDE if "ms-ssim" in name else SSIM_SIDE
    if photos is not None and side > photos.smallest:
        return f"needs pictures of at least {side} pixels a side, and the smallest has {photos.smallest}"
    return ""
