"""The metrics by name: their direction, and what they need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Needs = Literal["features", "probabilities", "pixels", "pairs", "lpips", "round trip"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table of metrics."""

    title: str
    better: Literal["lower", "higher", "nearer 0.5"]
    needs: frozenset[Needs]
    what: str
    """A short description for users."""
    secondary: bool = False
    """It is shown but does not decide which candidate is best."""


def _row(title: str, better: Literal["lower", "higher", "nearer 0.5"], needs: str, what: str,
         secondary: bool = False) -> Metric:  # fmt: skip
    return Metric(title, better, frozenset(needs.split(", ")), what, secondary)  # type: ignore[arg-type]


METRICS: dict[str, Metric] = {
    "fid": _row("FID", "lower", "features", "distance to the drawings, as two Gaussians of features"),
    "kid": _row("KID", "lower", "features", "distance to the drawings, unbiased for any number of images"),
    "is": _row(
        "IS",
        "higher",
        "probabilities",
        "confidence and variety seen by a classifier of photographs",
        secondary=True,
    ),
    "mmd": _row("MMD", "lower", "features", "Gaussian kernel distance to the drawings"),
    "1nn": _row("1-NN", "nearer 0.5", "features", "accuracy of nearest neighbours: result or drawing"),
    "1nn-real": _row("1-NN, drawings", "nearer 0.5", "features", "share of drawings recognized"),
    "1nn-fake": _row("1-NN, results", "nearer 0.5", "features", "share of results recognized"),
    "mmd-pixel": _row("MMD, pixels", "lower", "pixels", "kernel distance between pixels", secondary=True),
    "1nn-pixel": _row(
        "1-NN, pixels",
        "nearer 0.5",
        "pixels",
        "nearest neighbours between pixels",
        secondary=True,
    ),
    "lpips": _row("LPIPS", "lower", "lpips, pairs", "perceptual distance to the photograph: lost content"),
    "artfid": _row(
        "ArtFID", "lower", "features, lpips, pairs", "(1 + LPIPS)(1 + FID): style and content together"
    ),
    "psnr": _row("PSNR, dB", "higher", "pairs", "result compared with photograph", secondary=True),
    "ssim": _row("SSIM", "higher", "pairs", "result compared with photograph, luma"),
    "ms-ssim": _row("MS-SSIM", "higher", "pairs", "the same at five scales"),
    "flat": _row("flat", "higher", "pairs", "share of level steps away from the photograph's edges, luma"),
    "outline": _row(
        "outline",
        "higher",
        "pairs",
        "dark valley along the photograph's strongest edges, minus its own, luma",
    ),
    "round-trip-psnr": _row("PSNR back, dB", "higher", "round trip", "photo, cartoon, reconstructed photo"),
    "round-trip-ssim": _row("SSIM back", "higher", "round trip", "photo, cartoon, reconstructed photo, luma"),
    "round-trip-ms-ssim": _row("MS-SSIM back", "higher", "round trip", "the same at five scales"),
    "li": _row("50 SSIM + PSNR", "higher", "round trip", "of the round trip; 45 to 70 is accepted"),
}

DECIDING_METRICS = ("artfid", "li", "kid", "fid", "lpips", "ssim")
"""The first of these that was computed decides which candidate is best. ArtFID rates style and content; FID
alone would prefer results that lost the content. KID, unlike FID, is unbiased for few images.
"""


def deciding_metric(scored: Iterable[Iterable[str]], asked: Sequence[str] = ()) -> str | None:
    """Return the metric that decides, among those that all the scored have in common.

    That is the first one that was requested, else the first of `DECIDING_METRICS`, else the first that is not
    secondary. Returns None if there is none.
    """
    sets = [set(metrics) for metrics in scored]
    present = set.intersection(*sets) if sets else set()
    order = [*asked, *DECIDING_METRICS, *(name for name, row in METRICS.items() if not row.secondary)]
    return next((name for name in order if name in present and name in METRICS), None)
