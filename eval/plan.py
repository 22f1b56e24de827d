"""Which metrics can be had: of those asked for all or a sentence, of the others as many as there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engines.errors import StreamtoonError
from eval.catalogue import METRICS, Needs
from eval.metrics.lpips import MINIMUM_SIDE as LPIPS_SIDE
from eval.metrics.ms_ssim import MINIMUM_SIDE as MS_SSIM_SIDE
from eval.metrics.ssim import WINDOW as SSIM_SIDE
from eval.pictures import Pictures

COST = "cost"
"""Beside the metrics, what can be asked for: parameters, multiply-accumulates, times at 720p."""


@dataclass(frozen=True, slots=True)
class Plan:
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


def make_plan(
    asked: Sequence[str] | None,
    photos: Pictures | None,
    cartoons: Pictures | None,
    has_classifier: Callable[[], bool],
) -> Plan:
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
        why = _why_not(name, photos, cartoons, has_classifier)
        if not why:
            names.append(name)
        elif asked is not None:
            raise StreamtoonError(f"{name} {why}")
        else:
            left_out[name] = why
    return Plan(tuple(names), left_out, asked is None or COST in asked, asked is not None)


def _why_not(
    name: str, photos: Pictures | None, cartoons: Pictures | None, has_classifier: Callable[[], bool]
) -> str:
    needs = METRICS[name].needs
    if needs & {"features", "pixels"} and cartoons is None:
        return "needs drawings to compare with: name their folder with --cartoons"
    if needs & {"pairs", "way back"} and photos is None:
        return "needs the photos that the results were made of: name their folder with --photos"
    if "probabilities" in needs and not has_classifier():
        return "needs Inception's classifier, which this file of weights does not have"
    side = LPIPS_SIDE if "lpips" in needs else 0
    if "ssim" in name or name == "li":
        side = MS_SSIM_SIDE if "ms-ssim" in name else SSIM_SIDE
    if photos is not None and side > photos.smallest:
        return f"needs pictures of at least {side} pixels a side, and the smallest has {photos.smallest}"
    return ""
