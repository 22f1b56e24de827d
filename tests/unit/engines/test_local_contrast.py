"""Local contrast: the equalization by hand, its slopes and its range."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from engines.imaging.local_contrast import LIMIT, with_local_contrast

Bytes = NDArray[np.uint8]


def photo(height: int, width: int) -> Bytes:
    grey = cv2.cvtColor(np.asarray(data.astronaut()), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def curve_by_hand(tile: Bytes, limit: float) -> NDArray[np.float64]:
    """The tone curve of one tile: the sum of its histogram, of which no code has more than the limit."""
    counts = [0] * 256
    for code in tile.ravel().tolist():
        counts[code] += 1
    most = max(1, int(limit * tile.size / 256))
    excess = sum(max(0, count - most) for count in counts)
    counts = [min(count, most) + excess // 256 for count in counts]
    left = excess % 256
    step = max(256 // left, 1) if left else 256
    for place in range(0, 256, step):
        if left > 0:
            counts[place] += 1
            left -= 1
    return np.cumsum(counts) * 255 / tile.size


def by_hand(luma: Bytes, limit: float, tiles: int) -> NDArray[np.float64]:
    """Curves of square tiles, with values between their middles."""
    height, width = luma.shape
    side = height // tiles
    curves = {
        (row, column): curve_by_hand(
            luma[row * side : (row + 1) * side, column * side : (column + 1) * side], limit
        )
        for row in range(tiles)
        for column in range(width // side)
    }
    drawn = np.zeros(luma.shape)
    for y in range(height):
        for x in range(width):
            down, across = y / side - 0.5, x / side - 0.5
            top, left = int(np.floor(down)), int(np.floor(across))
            for row, share_down in ((top, 1 - down + top), (top + 1, down - top)):
                for column, share_across in ((left, 1 - across + left), (left + 1, across - left)):
                    place = min(max(row, 0), tiles - 1), min(max(column, 0), width // side - 1)
                    drawn[y, x] += share_down * share_across * curves[place][luma[y, x]]
    return drawn


@pytest.mark.parametrize("amount", [0.25, 1.0])
def test_tiles_are_equalized_as_by_hand(amount: float) -> None:
    luma = photo(64, 96)
    drawn = with_local_contrast(luma, amount, full_range=True)
    wanted = amount * by_hand(luma, LIMIT, 4) + (1 - amount) * luma
    assert np.abs(drawn - wanted).max() <= 1
    assert np.abs(drawn.astype(int) - luma).max() > 10


def test_nothing_is_done_without_an_amount() -> None:
    luma = photo(30, 40)
    assert with_local_contrast(luma, 0.0, full_range=False) is luma


@pytest.mark.parametrize("amount", [0.3, 1.0])
def test_a_faint_step_grows_by_no_more_than_the_amount_allows(amount: float) -> None:
    lighter = np.broadcast_to(np.arange(256) // 8 % 2 == 1, (256, 256))
    luma = np.where(lighter, 86, 80).astype(np.uint8)
    luma += np.random.default_rng(0).integers(0, 4, luma.shape, np.uint8)
    drawn = with_local_contrast(luma, amount, full_range=True)
    step = float(drawn[lighter].mean() - drawn[~lighter].mean())
    assert 6 * (1 + 0.5 * LIMIT * amount) < step < 6 * (1 + LIMIT * amount) + 1


def test_limited_range_stays_limited_and_is_the_same_but_for_its_codes() -> None:
    full = photo(240, 320)
    limited = np.rint(16 + full * (219 / 255)).astype(np.uint8)
    drawn = with_local_contrast(limited, 0.5, full_range=False)
    assert drawn.min() >= 16 and drawn.max() <= 235
    wanted = 16 + with_local_contrast(full, 0.5, full_range=True) * (219 / 255)
    assert np.abs(drawn - wanted).mean() < 2.5  # of 256 codes, limited range has 220


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (2, 900), (7, 5), (720, 1280), (501, 333)])
def test_luma_of_any_size(size: tuple[int, int]) -> None:
    drawn = with_local_contrast(photo(*size), 0.5, full_range=False)
    assert drawn.shape == size and drawn.dtype == np.uint8
