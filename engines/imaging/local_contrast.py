"""Local contrast of luma, raised before the generator sees it.

A face in dim light or a hill in haze differs from its surroundings by a few codes, too few for a line or for
the edge of a patch. Contrast limited adaptive histogram equalization (Zuiderveld 1994) spreads the codes of
every part of a frame over more of the range. It is monotone at every place, so that it makes no halos.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frame import Plane

TILES = 4
"""Tiles on the short side of a frame whose histograms are equalized; tiles are about square."""
LIMIT = 4.0
"""Most pixels of a tile with one code, as a multiple of what each has if all are as frequent. The others are
spread over all codes, so that the slopes of a tone curve are at most 1 + `LIMIT`.
"""
BLACK, SPAN = 16, 219
"""Limited range."""


def with_local_contrast(luma: Plane, amount: float, *, full_range: bool) -> Plane:
    """Return luma with more local contrast.

    Args:
        luma: Codes, H x W.
        amount: Share of the equalized luma, 0 to 1. A place's tone curve gets slopes of at most
            1 + `LIMIT` x `amount`.
        full_range: Whether codes range from 0 to 255 and not from 16 to 235.
    """
    if not amount:
        return luma
    height, width = luma.shape
    tile = max(1.0, min(height, width) / TILES)
    tiles = max(1, round(width / tile)), max(1, round(height / tile))
    equalize = cv2.createCLAHE(LIMIT, tiles)
    if full_range:
        equalized = equalize.apply(luma)
    else:
        wide, narrow = _tables()
        equalized = cv2.LUT(equalize.apply(cv2.LUT(luma, wide)), narrow)
    return np.asarray(cv2.addWeighted(equalized, amount, luma, 1 - amount, 0), np.uint8)


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the tables from limited to full range and back."""
    codes = np.arange(256)
    wide = np.clip(np.rint((codes - BLACK) * (255 / SPAN)), 0, 255)
    narrow = np.rint(BLACK + codes * (SPAN / 255))
    return wide.astype(np.uint8), narrow.astype(np.uint8)
