"""Metrics that compare a result, or its reconstruction, with its photograph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Image
from engines.errors import StreamtoonError
from eval.metrics.flat import flat
from eval.metrics.li_score import li_score
from eval.metrics.ms_ssim import ms_ssim
from eval.metrics.outline import outline
from eval.metrics.psnr import psnr
from eval.metrics.ssim import ssim

PAIRED_PROTOCOL = "at original size; PSNR on RGB, the others on BT.601 luma; data_range 255"
DATA_RANGE = 255
ROUND_TRIP_PREFIX = "round-trip-"


def _luma(image: Image) -> Image:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def _fine_luma(image: Image) -> NDArray[np.float32]:
    """Return luma without rounding, so that steps of 1.5 and 2 differ."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32), cv2.COLOR_RGB2GRAY), np.float32)


def _psnr(a: Image, b: Image) -> float:
    return psnr(a, b, data_range=DATA_RANGE)


def _ssim(a: Image, b: Image) -> float:
    return ssim(_luma(a), _luma(b), data_range=DATA_RANGE)


def _ms_ssim(a: Image, b: Image) -> float:
    return ms_ssim(_luma(a), _luma(b), data_range=DATA_RANGE)


def _flat(photo: Image, result: Image) -> float:
    return flat(_fine_luma(photo), _fine_luma(result), data_range=DATA_RANGE)


def _outline(photo: Image, result: Image) -> float:
    return outline(_fine_luma(photo), _fine_luma(result), data_range=DATA_RANGE)


def _li(a: Image, b: Image) -> float:
    return li_score(_ssim(a, b), _psnr(a, b))


SIMILARITY_METRICS: dict[str, Callable[[Image, Image], float]] = {
    "psnr": _psnr,
    "ssim": _ssim,
    "ms-ssim": _ms_ssim,
}
"""Similarities of two images, which do not depend on their order."""
PAIRED_METRICS = {**SIMILARITY_METRICS, "flat": _flat, "outline": _outline}
"""Metrics of a photograph and its result, in that order."""
ROUND_TRIP_METRICS = {
    **{ROUND_TRIP_PREFIX + name: compare for name, compare in SIMILARITY_METRICS.items()},
    "li": _li,
}
"""Metrics of a photograph and its reconstruction (Li's evaluation)."""


def compare(
    names: Sequence[str],
    photos: Sequence[Image],
    results: Sequence[Image],
    back: Callable[[Image], Image] | None,
) -> dict[str, list[float]]:
    """Return the values of those named metrics that are of this kind, for each photo and its result."""
    values = {
        name: [measure(*pair) for pair in zip(photos, results, strict=True)]
        for name, measure in PAIRED_METRICS.items()
        if name in names
    }
    if back and any(name in names for name in ROUND_TRIP_METRICS):
        returned = list(map(back, results))
        values |= {
            name: [measure(*pair) for pair in zip(photos, returned, strict=True)]
            for name, measure in ROUND_TRIP_METRICS.items()
            if name in names
        }
    return values


def require_same_sizes(
    who: str, paths: Sequence[Path], photos: Sequence[Image], results: Sequence[Image]
) -> None:
    """Raise StreamtoonError for a result that has not the size of its photo."""
    for path, photo, result in zip(paths, photos, results, strict=True):
        if photo.shape != result.shape:
            (height, width), (high, wide) = photo.shape[:2], result.shape[:2]
            raise StreamtoonError(
                f"{who}: the result for {path.name} is {wide}x{high}, but the photo is "
                f"{width}x{height}; give results with the size of their photos, or use --metrics "
                "without metrics that compare pairs"
            )
