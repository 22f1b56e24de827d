"""Select the metrics: all requested ones or an error, or otherwise all that are available."""

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
"""Can be requested together with the metrics: parameters, multiply-accumulates, and times at 720p. It is not
part of the default, since timing every engine takes minutes.
"""


@dataclass(frozen=True, slots=True)
class MetricSelection:
    """The metrics to compute."""

    names: tuple[str, ...]
    """Keys of `METRICS`, in its order."""
    left_out: dict[str, str]
    """The other metrics, each with the reason."""
    cost: bool
    strict: bool
    """The metrics were requested by name, so one that is not available is an error."""

    def wants(self, *needs: Needs) -> bool:
        """Return whether any metric needs one of these."""
        return any(METRICS[name].needs & {*needs} for name in self.names)


def select_metrics(
    asked: Sequence[str] | None,
    photos: ImageSet | None,
    cartoons: ImageSet | None,
    has_classifier: Callable[[], bool],
) -> MetricSelection:
    """Select the requested metrics, or with None all that these image sets allow.

    Raises StreamtoonError for an unknown name, or a requested metric that is not available.
    """
    for name in asked or ():
        if name not in METRICS and name != COST:
            raise StreamtoonError(f"unknown metric {name!r}; the metrics are {', '.join([*METRICS, COST])}")
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
        return "needs drawings to compare with; give their folder with --cartoons"
    if needs & {"pairs", "round trip"} and photos is None:
        return "needs the photos of the results; give their folder with --photos"
    if "probabilities" in needs and not has_classifier():
        return "needs Inception's classifier, which this weights file does not have"
    side = {"flat": FLAT_SIDE, "outline": OUTLINE_SIDE}.get(name, LPIPS_SIDE if "lpips" in needs else 0)
    if "ssim" in name or name == "li":
        side = MS_SSIM_SIDE if "ms-ssim" in name else SSIM_SIDE
    if photos is not None and side > photos.smallest:
        return f"needs images of at least {side} pixels a side, but the smallest has {photos.smallest}"
    return ""
