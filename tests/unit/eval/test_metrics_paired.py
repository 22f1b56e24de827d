"""MS-SSIM, Li's score, sharpness and the warping error against other libraries and closed forms."""

from __future__ import annotations

import importlib

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from scipy.signal import convolve2d

from eval.metrics.ewarp import MAX_FLOW_SIDE, ewarp, flow, visible
from eval.metrics.li_score import ACCEPTED, accepted, li_score
from eval.metrics.ms_ssim import MINIMUM_SIDE, WEIGHTS, ms_ssim
from eval.metrics.sharpness import sharpness
from eval.metrics.ssim import similarities, ssim

Bytes = NDArray[np.uint8]


def _pair(kind: str, height: int = 192, width: int = 240) -> tuple[Bytes, Bytes]:
    photo = np.asarray(skimage.data.camera(), np.uint8)[100 : 100 + height, 60 : 60 + width]
    noise = np.random.default_rng(1).normal(0, 12, photo.shape)
    other = {
        "noisy": photo + noise,
        "darker": photo * 0.6,
        "shifted": np.roll(photo, 2, axis=1),
        "unrelated": 128 + 4 * noise,
        "negative": 255.0 - photo,
    }[kind]
    return photo, np.clip(np.rint(other), 0, 255).astype(np.uint8)


KINDS = ["noisy", "darker", "shifted", "unrelated", "negative"]


@pytest.mark.parametrize("kind", KINDS)
def test_ms_ssim_agrees_with_pytorch_msssim(kind: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("pytorch_msssim")
    a, b = _pair(kind)  # sides that can be halved four times: with others it pads by zeros
    x, y = (torch.from_numpy(one).double()[None, None] for one in (a, b))
    # It keeps its window in single precision.
    assert ms_ssim(a, b, data_range=255) == pytest.approx(
        float(theirs.ms_ssim(x, y, data_range=255)), abs=2e-6
    )


def _by_hand(a: Bytes, b: Bytes) -> float:
    """The paper's equations with convolutions of SciPy."""
    at = np.arange(-5, 6)
    bell = np.exp(-(at**2) / (2 * 1.5**2))
    window = np.outer(bell, bell) / bell.sum() ** 2
    x, y, value = a.astype(np.float64), b.astype(np.float64), 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        if scale:
            rows, columns = x.shape[0] // 2, x.shape[1] // 2
            cells = (rows, 2, columns, 2)
            x, y = (one[: 2 * rows, : 2 * columns].reshape(cells).mean((1, 3)) for one in (x, y))

        def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.asarray(convolve2d(values, window, mode="valid"))

        mx, my = mean(x), mean(y)
        factor = (2 * (mean(x * y) - mx * my) + 58.5225) / (mean(x**2) - mx**2 + mean(y**2) - my**2 + 58.5225)
        if scale == 4:
            factor = factor * (2 * mx * my + 6.5025) / (mx**2 + my**2 + 6.5025)
        value *= max(0.0, float(factor.mean())) ** weight
    return value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(176, 176), (187, 211)], ids=str)
def test_ms_ssim_is_what_the_paper_says_at_sizes_that_cannot_be_halved(
    kind: str, size: tuple[int, int]
) -> None:
    a, b = _pair(kind, *size)
    assert ms_ssim(a, b, data_range=255) == pytest.approx(_by_hand(a, b), rel=1e-9, abs=1e-12)


def test_the_scales_weights_are_the_papers() -> None:
    assert WEIGHTS == (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    assert sum(WEIGHTS) == pytest.approx(1, abs=2e-4)


def test_ms_ssim_of_equal_pictures_is_one_and_scales_with_the_range() -> None:
    a, b = _pair("noisy")
    assert ms_ssim(a, a, data_range=255) == 1
    assert ms_ssim(a / 255, b / 255, data_range=1) == pytest.approx(ms_ssim(a, b, data_range=255), rel=1e-9)


def test_a_picture_and_its_negative_have_nothing_in_common() -> None:
    assert ms_ssim(*_pair("negative"), data_range=255) == 0


def test_ms_ssim_says_how_large_pictures_have_to_be() -> None:
    assert MINIMUM_SIDE == 176
    a = np.zeros((175, 400))
    with pytest.raises(ValueError, match="176"):
        ms_ssim(a, a, data_range=255)
    with pytest.raises(ValueError, match="equal"):
        ms_ssim(np.zeros((200, 200)), np.zeros((200, 201)), data_range=255)
    with pytest.raises(ValueError, match="data_range"):
        ms_ssim(np.zeros((200, 200)), np.zeros((200, 200)), data_range=0)


def test_the_two_factors_make_up_ssim() -> None:
    a, b = _pair("noisy")
    luminance, contrast_structure = similarities(a, b, data_range=255)
    assert luminance.shape == (182, 230)
    assert ssim(a, b, data_range=255) == float(np.mean(luminance * contrast_structure))


def test_lis_score_is_what_his_table_adds_up_to() -> None:
    assert li_score(0.997769, 17.152241) == pytest.approx(67.040676, abs=2e-5)
    assert li_score(1, float("inf")) == float("inf")


@pytest.mark.parametrize(
    ("score", "is_in"), [(44.99, False), (45, True), (67, True), (70, True), (70.1, False)]
)
def test_the_band_of_acceptance_has_its_ends(score: float, is_in: bool) -> None:
    assert ACCEPTED == (45, 70)
    assert accepted(score) is is_in


def test_sharpness_of_a_ramp_is_its_slope() -> None:
    y, x = np.mgrid[0:20, 0:30]
    assert sharpness(3.0 * x) == pytest.approx(3)
    assert sharpness(3.0 * x + 4.0 * y) == pytest.approx(5)
    assert sharpness(np.full((20, 30), 77)) == 0


def test_sharpness_of_a_step_is_its_height_over_the_width() -> None:
    step = np.zeros((12, 22), np.uint8)
    step[:, 11:] = 200
    # Two columns of 20 see half of the step each: Sobel's differences span two pixels.
    assert sharpness(step) == pytest.approx(2 * 100 / 20)


def test_sharpness_agrees_with_scikit_image() -> None:
    from skimage.filters import sobel_h, sobel_v

    photo = np.asarray(skimage.data.camera(), np.float64)[:90, :120]
    # Theirs averages three differences over two pixels: twice ours.
    lengths = np.hypot(sobel_h(photo), sobel_v(photo))[1:-1, 1:-1] / 2
    assert sharpness(photo) == pytest.approx(lengths.mean(), rel=1e-5)


def test_blur_costs_sharpness() -> None:
    photo = np.asarray(skimage.data.camera(), np.uint8)
    assert sharpness(cv2.GaussianBlur(photo, (0, 0), 2)) < 0.6 * sharpness(photo)
    with pytest.raises(ValueError, match="H x W"):
        sharpness(np.zeros((9, 9, 3)))


RIGHT, DOWN = 5, 3


def _moved() -> tuple[Bytes, Bytes]:
    """What a camera sees that moves to the left and up: everything goes to the right and down."""
    photo = skimage.data.astronaut()
    return photo[60:260, 60:300], photo[60 - DOWN : 260 - DOWN, 60 - RIGHT : 300 - RIGHT]


def _exact(height: int = 200, width: int = 240) -> NDArray[np.float32]:
    return np.broadcast_to(np.array([RIGHT, DOWN], np.float32), (height, width, 2)).copy()


def test_flow_finds_a_translation() -> None:
    a, b = _moved()
    found = flow(a, b)
    assert found.shape == (200, 240, 2)
    error = np.linalg.norm(found - _exact(), axis=-1)[10:-10, 10:-10]
    assert np.median(error) < 0.1
    assert np.mean(error < 0.5) > 0.95


def test_flow_of_large_pictures_is_computed_smaller_and_given_in_their_own_pixels() -> None:
    photo = cv2.resize(skimage.data.astronaut(), (1536, 1536), interpolation=cv2.INTER_CUBIC)
    side = 2 * MAX_FLOW_SIDE
    a, b = photo[90 : 90 + side, 90:-6], photo[84 : 84 + side, 80:-16]
    found = flow(a, b)
    assert found.shape == (side, 1440, 2)
    assert np.median(found[..., 0]) == pytest.approx(10, abs=0.3)
    assert np.median(found[..., 1]) == pytest.approx(6, abs=0.3)


def test_what_leaves_the_picture_is_not_visible() -> None:
    there = _exact()
    mask = visible(there, -there)
    assert mask[:-DOWN, :-RIGHT].all()
    assert not mask[-DOWN:].any()
    assert not mask[:, -RIGHT:].any()


def test_what_does_not_come_back_is_not_visible() -> None:
    forward, backward = _exact(), -_exact()
    # By the rule, a way back of (-5, 0) is off by 9 square pixels; 0.01 (34 + 25) + 0.5 are allowed.
    backward[40:60, 50:90] = (-RIGHT, 0)
    mask = visible(forward, backward)
    assert not mask[40 - DOWN : 60 - DOWN, 50 - RIGHT : 90 - RIGHT].any()
    assert mask[70:-DOWN, :-RIGHT].all()
    # Off by 0.49 square pixels: that is allowed.
    assert visible(forward, -forward + np.array([0.7, 0], np.float32))[:-DOWN, :-RIGHT].all()


def test_motion_boundaries_are_not_visible() -> None:
    forward = np.zeros((40, 60, 2), np.float32)
    forward[:, 30:] = (8, 0)
    mask = visible(forward, -forward)
    # Central differences see the step in the columns on both sides of it.
    assert not mask[:, 29:31].any()
    assert mask[:, :29].all()


def test_a_picture_moved_by_whole_pixels_does_not_flicker() -> None:
    a, b = _moved()
    there = _exact()
    assert ewarp(a, b, there, visible(there, -there)) == 0
    forward, backward = flow(a, b), flow(b, a)
    mask = visible(forward, backward)
    assert mask.mean() > 0.9
    still = float(np.mean((a / 255 - b / 255) ** 2))
    assert ewarp(a, b, forward, mask) < 0.005 * still


def test_noise_is_worth_its_variance() -> None:
    a, b = _moved()
    a, b = a // 2 + 60, b // 2 + 60  # room for noise without clipping
    dice, sigma = np.random.default_rng(0), 8.0
    noisy = [np.rint(one + dice.normal(0, sigma, one.shape)).astype(np.uint8) for one in (a, b)]
    there = _exact()
    expected = 2 * (sigma**2 + 1 / 12) / 255**2
    assert ewarp(noisy[0], noisy[1], there, visible(there, -there)) == pytest.approx(expected, rel=0.02)


def test_a_change_of_brightness_is_worth_its_square_and_the_mask_decides_where() -> None:
    a, b = _moved()
    a, b = a // 2, (b // 2).copy()
    b[50:100] += 51
    there = _exact()
    mask = visible(there, -there)
    brightened = np.zeros_like(mask)
    brightened[50 - DOWN : 100 - DOWN] = True
    assert ewarp(a, b, there, mask & brightened) == pytest.approx(0.04, rel=1e-6)
    assert ewarp(a, b, there, mask & ~brightened) == 0


def test_the_warping_error_agrees_with_a_loop() -> None:
    dice = np.random.default_rng(3)
    a, b = dice.integers(0, 256, (2, 9, 11, 3)).astype(np.uint8)
    # Steps of 1/32 are what OpenCV's interpolation tells apart.
    there = (dice.integers(-64, 65, (9, 11, 2)) / 32).astype(np.float32)
    mask = visible(np.zeros_like(there), np.zeros_like(there))
    total, count = 0.0, 0
    for y in range(9):
        for x in range(11):
            u, v = x + float(there[y, x, 0]), y + float(there[y, x, 1])
            mask[y, x] = 0 <= u <= 10 and 0 <= v <= 8
            if not mask[y, x]:
                continue
            left, top = min(int(u), 9), min(int(v), 7)
            s, t = u - left, v - top
            corners = b[top : top + 2, left : left + 2].astype(np.float64)
            value = np.tensordot(np.outer([1 - t, t], [1 - s, s]), corners, 2)
            total += float(np.mean((a[y, x] / 255 - value / 255) ** 2))
            count += 1
    assert ewarp(a, b, there, mask) == pytest.approx(total / count, rel=1e-4)


def test_pictures_that_do_not_fit_are_refused() -> None:
    a, b = _moved()
    with pytest.raises(ValueError, match="32"):
        flow(a[:31], b[:31])
    with pytest.raises(ValueError, match="do not match"):
        ewarp(a, b[:-1], _exact(), np.ones((200, 240), np.bool_))
    with pytest.raises(ValueError, match="empty"):
        ewarp(a, b, _exact(), np.zeros((200, 240), np.bool_))


@pytest.mark.parametrize("name", ["ms_ssim", "li_score", "ewarp", "sharpness"])
def test_each_has_a_file_of_its_name(name: str) -> None:
    module = importlib.import_module(f"eval.metrics.{name}")
    assert getattr(module, name).__doc__
    assert module.__doc__
