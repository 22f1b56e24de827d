from __future__ import annotations

import math

import numpy as np
import pytest
import skimage.data
import skimage.metrics
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from numpy.typing import NDArray

from eval.metrics.psnr import psnr
from eval.metrics.ssim import ssim


def _pair(kind: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    photo = np.asarray(skimage.data.camera(), np.uint8)[100:221, 60:303]
    noise = np.random.default_rng(1).normal(0, 12, photo.shape)
    other = {
        "noisy": photo + noise,
        "darker": photo * 0.6,
        "shifted": np.roll(photo, 2, axis=1),
        "unrelated": 128 + 4 * noise,
    }[kind]
    return photo, np.clip(np.rint(other), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["noisy", "darker", "shifted", "unrelated"])
def test_ssim_agrees_with_scikit_image(kind: str) -> None:
    a, b = _pair(kind)
    theirs = skimage.metrics.structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(a, b, data_range=255) == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("kind", ["noisy", "darker", "shifted", "unrelated"])
def test_psnr_agrees_with_scikit_image(kind: str) -> None:
    a, b = _pair(kind)
    theirs = skimage.metrics.peak_signal_noise_ratio(a, b, data_range=255)
    assert psnr(a, b, data_range=255) == pytest.approx(theirs, rel=1e-12)


def test_psnr_of_one_code_value_everywhere_is_known() -> None:
    black = np.zeros((4, 5, 3), np.uint8)
    assert psnr(black, black + 1, data_range=255) == pytest.approx(20 * math.log10(255))


def test_equal_pictures_are_perfect() -> None:
    a, _ = _pair("noisy")
    assert ssim(a, a, data_range=255) == 1
    assert psnr(a, a, data_range=255) == math.inf


def test_scaling_values_and_range_together_changes_nothing() -> None:
    a, b = _pair("noisy")
    assert ssim(a / 255, b / 255, data_range=1) == pytest.approx(ssim(a, b, data_range=255), rel=1e-9)


TWO = stn.arrays(np.uint8, st.tuples(st.just(2), st.integers(11, 20), st.integers(11, 20)))


@given(TWO)
def test_ssim_is_symmetric_and_at_most_one(two: NDArray[np.uint8]) -> None:
    one_way = ssim(two[0], two[1], data_range=255)
    assert one_way == pytest.approx(ssim(two[1], two[0], data_range=255), abs=1e-12)
    assert -1 <= one_way <= 1 + 1e-12


@given(TWO)
def test_both_metrics_agree_with_scikit_image_on_anything(two: NDArray[np.uint8]) -> None:
    a, b = two
    theirs = skimage.metrics.structural_similarity(
        a, b, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(a, b, data_range=255) == pytest.approx(theirs, abs=1e-9)
    if (a != b).any():
        theirs = skimage.metrics.peak_signal_noise_ratio(a, b, data_range=255)
        assert psnr(a, b, data_range=255) == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("shape", [(10, 40), (40, 40, 3), (40, 41)])
def test_ssim_says_what_it_cannot_compare(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="H x W with sides >= 11"):
        ssim(np.zeros((40, 40)), np.zeros(shape), data_range=255)


def test_a_range_that_is_not_positive_is_refused() -> None:
    a, b = _pair("noisy")
    with pytest.raises(ValueError, match="data_range"):
        ssim(a, b, data_range=0)
    with pytest.raises(ValueError, match="data_range"):
        psnr(a, b, data_range=float("nan"))


def test_psnr_refuses_different_shapes() -> None:
    with pytest.raises(ValueError, match="shapes"):
        psnr(np.zeros((4, 4)), np.zeros((4, 5)), data_range=255)
