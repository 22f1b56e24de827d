"""Colour matrices against the numbers printed in the standards, and the way there and back on photographs."""

from __future__ import annotations

import itertools
from typing import get_args

import cv2
import numpy as np
import pytest
from skimage import data

from engines.frame import ColorInfo, Matrix
from engines.imaging.color import rgb_to_yuv, rgb_to_yuv_matrix, yuv_to_rgb, yuv_to_rgb_matrix

EVERY_COLOR = [ColorInfo(matrix, full) for matrix in get_args(Matrix) for full in (False, True)]

# As printed: luma's weights, and what B' - Y' and R' - Y' are divided by (ITU-R BT.601-7 section 2.5.2,
# BT.709-6 items 3.2 and 3.3, BT.2020-2 table 4).
PRINTED = {
    "bt601": ([0.299, 0.587, 0.114], 1.772, 1.402),
    "bt709": ([0.2126, 0.7152, 0.0722], 1.8556, 1.5748),
    "bt2020": ([0.2627, 0.6780, 0.0593], 1.8814, 1.4746),
}


@pytest.mark.parametrize("matrix", get_args(Matrix))
def test_limited_range_has_the_standards_numbers(matrix: Matrix) -> None:
    weights, cb, cr = PRINTED[matrix]
    rgb = np.random.default_rng(0).random((50, 3))
    luma = rgb @ np.array(weights)
    expected = np.stack(
        [16 + 219 * luma, 128 + 224 * (rgb[:, 2] - luma) / cb, 128 + 224 * (rgb[:, 0] - luma) / cr], axis=1
    )
    coded = rgb_to_yuv_matrix(matrix, full_range=False)
    assert np.abs(255 * rgb @ coded[:, :3].T + coded[:, 3] - expected).max() < 1e-9


def test_full_range_bt601_is_jpegs() -> None:
    jfif = [[0.299, 0.587, 0.114, 0], [-0.168736, -0.331264, 0.5, 128], [0.5, -0.418688, -0.081312, 128]]
    assert np.abs(rgb_to_yuv_matrix("bt601", full_range=True) - jfif).max() < 1e-6


def test_full_range_bt601_agrees_with_opencv() -> None:
    photo = data.astronaut()
    y, u, v = rgb_to_yuv(photo, ColorInfo("bt601", full_range=True))
    y_cv, v_cv, u_cv = cv2.split(cv2.cvtColor(photo, cv2.COLOR_RGB2YCrCb))
    for plane, expected in ((y, y_cv), (u, u_cv), (v, v_cv)):
        assert np.abs(plane.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("color", EVERY_COLOR, ids=str)
def test_grey_is_grey_and_the_corners_are_the_ranges_ends(color: ColorInfo) -> None:
    black, white = (0, 255) if color.full_range else (16, 235)
    for rgb, luma in ((0, black), (255, white)):
        y, u, v = rgb_to_yuv(np.full((2, 2, 3), rgb, np.uint8), color)
        assert (y == luma).all()
        assert (u == 128).all()
        assert (v == 128).all()
    for corner in itertools.product((0, 255), repeat=3):
        y, u, v = rgb_to_yuv(np.full((1, 1, 3), corner, np.uint8), color)
        if not color.full_range:
            assert 16 <= y.item() <= 235
            assert min(u.item(), v.item()) >= 16
            assert max(u.item(), v.item()) <= 240


@pytest.mark.parametrize("color", EVERY_COLOR, ids=str)
def test_code_values_are_those_of_float64(color: ColorInfo) -> None:
    photo = data.coffee()
    planes = rgb_to_yuv(photo, color)
    exact = photo @ rgb_to_yuv_matrix(color.matrix, color.full_range)[:, :3].T
    exact += rgb_to_yuv_matrix(color.matrix, color.full_range)[:, 3]
    assert np.abs(np.stack(planes, axis=2) - exact).max() < 0.75
    back = np.stack(planes, axis=2) @ yuv_to_rgb_matrix(color.matrix, color.full_range)[:, :3].T
    back += yuv_to_rgb_matrix(color.matrix, color.full_range)[:, 3]
    assert np.abs(yuv_to_rgb(*planes, color) - back.clip(0, 255)).max() < 0.75


@pytest.mark.parametrize("color", EVERY_COLOR, ids=str)
@pytest.mark.parametrize("photo", ["astronaut", "coffee", "rocket", "chelsea"])
def test_the_way_there_and_back_costs_less_than_a_code_value(color: ColorInfo, photo: str) -> None:
    planes = rgb_to_yuv(getattr(data, photo)(), color)
    back = rgb_to_yuv(yuv_to_rgb(*planes, color), color)
    for plane, again in zip(planes, back, strict=True):
        difference = np.abs(plane.astype(int) - again)
        assert difference.mean() < 0.6
        assert np.percentile(difference, 99) <= 2
