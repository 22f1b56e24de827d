"""What compares a result, or its way back to a photograph, with the photograph that it was made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from engines.errors import StreamtoonError
from engines.picture_files import Image
from eval.metrics.li_score import li_score
from eval.metrics.ms_ssim import ms_ssim
from eval.metrics.psnr import psnr
from eval.metrics.ssim import ssim

HOW = "at their own size; PSNR on RGB, SSIM and MS-SSIM on BT.601 luma; data_range 255"
RANGE = 255
BACK = "round-trip-"


def _luma(picture: Image) -> Image:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _psnr(a: Image, b: Image) -> float:
    return psnr(a, b, data_range=RANGE)


def _ssim(a: Image, b: Image) -> float:
    return ssim(_luma(a), _luma(b), data_range=RANGE)


def _ms_ssim(a: Image, b: Image) -> float:
    return ms_ssim(_luma(a), _luma(b), data_range=RANGE)


def _li(a: Image, b: Image) -> float:
    return li_score(_ssim(a, b), _psnr(a, b))


THERE: dict[str, Callable[[Image, Image], float]] = {"psnr": _psnr, "ssim": _ssim, "ms-ssim": _ms_ssim}
"""Of a photograph and its result."""
RETURN = {**{BACK + name: compare for name, compare in THERE.items()}, "li": _li}
"""Of a photograph and what came back of it (Li's evaluation)."""


def compare(
    names: Sequence[str],
    photos: Sequence[Image],
    results: Sequence[Image],
    back: Callable[[Image], Image] | None,
) -> dict[str, list[float]]:
    """The values of the named metrics, as far as they are of this kind, for each photo and its result."""
    values = {
        name: [measure(*pair) for pair in zip(photos, results, strict=True)]
        for name, measure in THERE.items()
        if name in names
    }
    if back and any(name in names for name in RETURN):
        returned = list(map(back, results))
        values |= {
            name: [measure(*pair) for pair in zip(photos, returned, strict=True)]
            for name, measure in RETURN.items()
            if name in names
        }
    return values


def demand_same_sizes(
    who: str, paths: Sequence[Path], photos: Sequence[Image], results: Sequence[Image]
) -> None:
    """Raises StreamtoonError for a result that is not of its photo's size."""
    for path, photo, result in zip(paths, photos, results, strict=True):
        if photo.shape != result.shape:
            (height, width), (high, wide) = photo.shape[:2], result.shape[:2]
            raise StreamtoonError(
                f"{who}: the result for {path.name} is {wide}x{high} and the photo {width}x{height}; give "
                "results of their photos' size, or name with --metrics only what compares no pairs"
            )
