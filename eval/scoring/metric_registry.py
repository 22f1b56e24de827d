"""The metrics by name: which way is better, and what each of them needs."""

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
    """One clause for people."""
    secondary: bool = False
    """Shown, but not to decide by."""


def _row(title: str, better: Literal["lower", "higher", "nearer 0.5"], needs: str, what: str,
         secondary: bool = False) -> Metric:  # fmt: skip
    return Metric(title, better, frozenset(needs.split(", ")), what, secondary)  # type: ignore[arg-type]


METRICS: dict[str, Metric] = {
    "fid": _row("FID", "lower", "features", "distance to the drawings, as two Gaussians of features"),
    "kid": _row("KID", "lower", "features", "distance to the drawings, unbiased at any number of pictures"),
    "is": _row(
        "IS",
        "higher",
        "probabilities",
        "how sure and how varied a classifier of photographs is",
        secondary=True,
    ),
    "mmd": _row("MMD", "lower", "features", "Gaussian kernel distance to the drawings"),
    "1nn": _row("1-NN", "nearer 0.5", "features", "how well nearest neighbours tell results from drawings"),
    "1nn-real": _row("1-NN, drawings", "nearer 0.5", "features", "the share of drawings it tells"),
    "1nn-fake": _row("1-NN, results", "nearer 0.5", "features", "the share of results it tells"),
    "mmd-pixel": _row(
        "MMD, pixels", "lower", "pixels", "kernel distance between the pixels themselves", secondary=True
    ),
    "1nn-pixel": _row(
        "1-NN, pixels",
        "nearer 0.5",
        "pixels",
        "nearest neighbours between the pixels themselves",
        secondary=True,
    ),
    "lpips": _row(
        "LPIPS", "lower", "lpips, pairs", "perceptual distance to the photograph: content that is lost"
    ),
    "artfid": _row(
        "ArtFID", "lower", "features, lpips, pairs", "(1 + LPIPS)(1 + FID): style and content at once"
    ),
    "psnr": _row("PSNR, dB", "higher", "pairs", "result against photograph", secondary=True),
    "ssim": _row("SSIM", "higher", "pairs", "result against photograph, luma"),
    "ms-ssim": _row("MS-SSIM", "higher", "pairs", "the same at five scales"),
    "flat": _row("flat", "higher", "pairs", "share of level steps away from the photograph's edges, luma"),
    "outline": _row(
        "outline",
        "higher",
        "pairs",
        "dark valley along the photograph's strongest edges, minus its own, luma",
    ),
    "round-trip-psnr": _row("PSNR back, dB", "higher", "round trip", "photo, cartoon, photo again"),
    "round-trip-ssim": _row("SSIM back", "higher", "round trip", "photo, cartoon, photo again, luma"),
    "round-trip-ms-ssim": _row("MS-SSIM back", "higher", "round trip", "the same at five scales"),
    "li": _row("50 SSIM + PSNR", "higher", "round trip", "of the round trip; accepted between 45 and 70"),
}

DECIDING_METRICS = ("artfid", "li", "kid", "fid", "lpips", "ssim")
"""By which metric the best is named: the first of them that was computed. ArtFID counts style and content
(FID alone would choose what lost the content), and KID, unlike FID, is fair to few pictures."""


def deciding_metric(scored: Iterable[Iterable[str]], asked: Sequence[str] = ()) -> str | None:
    """Of the metrics that all the scored have in common the one to name the best by.

    That is the first that was asked for, else of `DECIDING_METRICS`, else of those that are not secondary;
    None where there is nothing to decide by.
    """
    sets = [set(metrics) for metrics in scored]
    present = set.intersection(*sets) if sets else set()
    order = [*asked, *DECIDING_METRICS, *(name for name, row in METRICS.items() if not row.secondary)]
    return next((name for name in order if name in present and name in METRICS), None)
