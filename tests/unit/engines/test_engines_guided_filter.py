"""Guided filters against a direct implementation: one window at a time, float64, no box filter."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data

from engines.imaging import guided_filter_torch
from engines.imaging.guided_filter import (
    apply_coefficients,
    coefficients,
    fast_coefficients,
    guided_filter,
    restore_detail,
)

Doubles = NDArray[np.float64]


def by_window(
    guide: NDArray[Any], source: NDArray[Any], radius: int, penalty: float
) -> tuple[Doubles, Doubles]:
    """He, Sun, Tang 2013, Eqs. 5, 6 and 8, as they are written."""
    guide, source = guide.astype(np.float64), source.astype(np.float64)
    height, width = guide.shape

    def window(y: int, x: int) -> tuple[slice, slice]:
        return (
            slice(max(0, y - radius), min(height, y + radius + 1)),
            slice(max(0, x - radius), min(width, x + radius + 1)),
        )

    a, b = np.empty_like(guide), np.empty_like(guide)
    for y in range(height):
        for x in range(width):
            i, p = guide[window(y, x)], source[window(y, x)]
            a[y, x] = (np.mean(i * p) - i.mean() * p.mean()) / (np.var(i) + penalty)
            b[y, x] = p.mean() - a[y, x] * i.mean()
    mean_a, mean_b = np.empty_like(a), np.empty_like(b)
    for y in range(height):
        for x in range(width):
            mean_a[y, x], mean_b[y, x] = a[window(y, x)].mean(), b[window(y, x)].mean()
    return mean_a, mean_b


@pytest.fixture(scope="module")
def pair() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photograph's luma as guide, and the same posterized and shifted in tone as source."""
    guide = cv2.resize(data.camera(), (37, 23), interpolation=cv2.INTER_AREA)
    return guide, np.clip(guide.astype(int) // 40 * 44 + 12, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("radius", [0, 1, 3, 30])
@pytest.mark.parametrize("eps", [3e-4, 1e-2])
def test_code_values_agree_with_windows(
    pair: tuple[NDArray[np.uint8], NDArray[np.uint8]], radius: int, eps: float
) -> None:
    a, b = coefficients(*pair, radius, eps)
    expected_a, expected_b = by_window(*pair, radius, eps * 255**2)
    assert np.abs(a - expected_a).max() < 1e-3
    assert np.abs(b - expected_b).max() < 0.05
    line = guided_filter(*pair, radius, eps)
    assert np.abs(line - (expected_a * pair[0] + expected_b)).max() < 0.05


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    radius=st.integers(0, 4),
    eps=st.sampled_from([1e-3, 0.1]),
    seed=st.integers(0, 1000),
)
def test_every_size_agrees_with_windows_up_to_the_border(
    height: int, width: int, radius: int, eps: float, seed: int
) -> None:
    guide, source = np.random.default_rng(seed).random((2, height, width)).astype(np.float32)
    expected_a, expected_b = by_window(guide, source, radius, eps)
    expected = expected_a * guide + expected_b
    assert np.abs(guided_filter(guide, source, radius, eps) - expected).max() < 1e-4
    in_torch = guided_filter_torch.guided_filter(
        torch.from_numpy(guide)[None, None], torch.from_numpy(source)[None, None], radius, eps
    )
    assert np.abs(in_torch[0, 0].numpy() - expected).max() < 1e-4


def test_torch_filters_every_channel_of_every_picture_by_itself() -> None:
    guide, *sources = np.random.default_rng(1).random((4, 2, 11, 13))
    source = np.stack(sources, axis=1)
    got = guided_filter_torch.guided_filter(
        torch.from_numpy(guide)[:, None], torch.from_numpy(source), radius=2, eps=1e-2
    ).numpy()
    for picture in range(2):
        for channel in range(3):
            a, b = by_window(guide[picture], source[picture, channel], 2, 1e-2)
            assert np.abs(got[picture, channel] - (a * guide[picture] + b)).max() < 1e-12


def test_torch_form_is_differentiable() -> None:
    guide, source = torch.rand(2, 1, 1, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    guide.requires_grad_()
    source.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda i, p: guided_filter_torch.guided_filter(i, p, 1, 0.1), (guide, source)
    )


def test_torch_form_keeps_half_precision_whole() -> None:
    guide, source = torch.rand(2, 1, 1, 16, 16, generator=torch.Generator().manual_seed(0)).half()
    got = guided_filter_torch.guided_filter(guide, source, 2, 1e-4)
    expected = guided_filter_torch.guided_filter(guide.float(), source.float(), 2, 1e-4)
    assert got.dtype == torch.float16
    assert (got.float() - expected).abs().max() < 1e-3
    with pytest.raises(ValueError, match="float32"):
        guided_filter_torch.coefficients(guide, source, 2, 1e-4)


def test_a_source_that_is_the_guide_comes_back(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
    guide = pair[0]
    assert np.abs(guided_filter(guide, guide, 2, 1e-7) - guide).max() < 0.5


def test_fast_form_carries_the_large_guides_edges() -> None:
    large = np.full((64, 64), 40, np.uint8)
    large[:, 31:] = 200
    small = np.asarray(cv2.resize(large, (32, 32), interpolation=cv2.INTER_AREA), np.uint8)
    drawn = (small // 2 + 60).astype(np.uint8)
    a, b = coefficients(small, drawn, 1, 3e-4)
    out = apply_coefficients(a, b, large)
    assert out.shape == large.shape
    # The drawing is a line in the guide, so the enlarged drawing is that line of the large guide, with the
    # edge between columns 30 and 31, which no pixel of the small pictures shows.
    assert np.abs(out.astype(int) - (large // 2 + 60)).max() <= 3


def test_kept_lines_lead_from_the_filter_to_the_source(
    pair: tuple[NDArray[np.uint8], NDArray[np.uint8]],
) -> None:
    guide, source = pair
    a, b = coefficients(guide, source, 1, 1e-2)
    filtered = a * guide + b
    assert np.allclose(a * guide + restore_detail(a, b, guide, source, 1.0), source, atol=1e-3)
    half = a * guide + restore_detail(a, b, guide, source, 0.5)
    assert np.allclose(half, (filtered + source) / 2, atol=1e-3)


@pytest.mark.parametrize(
    "guide, source, radius, eps",
    [
        (np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8), 1, 1e-3),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.float32), 1, 1e-3),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 3), np.uint8), 1, 1e-3),
        (np.zeros((4, 4)), np.zeros((4, 4)), 1, 1e-3),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), -1, 1e-3),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8), 1, 0.0),
    ],
)
def test_what_does_not_fit_is_refused(
    guide: NDArray[Any], source: NDArray[Any], radius: int, eps: float
) -> None:
    with pytest.raises(ValueError, match="expected"):
        coefficients(guide, source, radius, eps)


def test_torch_refuses_a_guide_in_color() -> None:
    with pytest.raises(ValueError, match="do not match"):
        guided_filter_torch.guided_filter(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4), 1, 1e-3)


@pytest.mark.parametrize("shape", [(120, 160), (121, 163)])
@pytest.mark.parametrize("radius", [2, 4])
def test_fitting_at_half_the_size_changes_little(shape: tuple[int, int], radius: int) -> None:
    grey = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)
    guide = np.asarray(cv2.resize(grey, shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    source = np.clip(np.rint(guide / 32.0) * 32, 0, 255).astype(np.uint8)  # posterized: edges of its own
    plain = apply_coefficients(*coefficients(guide, source, radius, 1e-3), guide)
    fast = apply_coefficients(*fast_coefficients(guide, source, radius, 1e-3), guide)
    assert np.abs(plain.astype(int) - fast).mean() < 1.5 < np.abs(plain.astype(int) - source).mean()


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_other_radii_are_fitted_as_they_are(radius: int) -> None:
    dice = np.random.default_rng(radius)
    guide, source = dice.integers(0, 256, (2, 24, 30), np.uint8)
    for one, other in zip(
        coefficients(guide, source, radius, 1e-2), fast_coefficients(guide, source, radius, 1e-2), strict=True
    ):
        assert np.array_equal(one, other)
