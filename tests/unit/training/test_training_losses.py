"""Losses on pixels, features and views against NumPy in float64, and by gradcheck where they are smooth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.losses.perceptual import feature_distance, gram, gram_distance
from training.losses.pixels import gradient_distance, half_size, total_variation, yuv, yuv_color
from training.losses.surface import (
    draw_color_mix,
    draw_grey_weights,
    mix_colors,
    random_grey,
    surface,
)

Array = NDArray[np.float64]


def pictures(count: int = 2, side: int = 12, seed: int = 0, channels: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, channels, side, side, dtype=torch.float64, generator=generator) * 2 - 1


def test_total_variation_is_the_mean_step_between_neighbours() -> None:
    batch = pictures()
    x = batch.numpy()
    expected = 0.0
    for array, axis in ((x, 3), (x, 2)):
        expected += np.abs(np.diff(array, axis=axis)).mean()
    assert float(total_variation(batch)) == pytest.approx(expected, rel=1e-12)


def test_total_variation_minds_edges_of_opposite_slopes() -> None:
    # One step up across and one down: || grad_x + grad_y || would see nothing here.
    y, x = np.mgrid[0:8, 0:8]
    slope = torch.from_numpy((x - y) / 8.0).expand(1, 3, 8, 8)
    assert float(total_variation(slope)) == pytest.approx(2 / 8)


def test_steps_apart_compares_neighbours_not_colors() -> None:
    a, b = pictures(seed=1), pictures(seed=2)
    expected = 0.0
    for axis in (2, 3):
        expected += np.abs(np.diff(a.numpy(), axis=axis) - np.diff(b.numpy(), axis=axis)).mean()
    assert float(gradient_distance(a, b)) == pytest.approx(expected, rel=1e-12)
    assert float(gradient_distance(a, a + 0.3)) == pytest.approx(0, abs=1e-12)


def test_yuv_has_bt601_luma_and_neutral_greys() -> None:
    x = (pictures().numpy() + 1) / 2
    planes = yuv(pictures()).numpy()
    np.testing.assert_allclose(planes[:, 0], 0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2])
    np.testing.assert_allclose(planes[:, 1], 0.492111 * (x[:, 2] - planes[:, 0]), atol=2e-4)
    np.testing.assert_allclose(planes[:, 2], 0.877283 * (x[:, 0] - planes[:, 0]), atol=2e-4)


def huber(difference: Array, delta: float) -> float:
    size = np.abs(difference)
    return float(np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta)).mean())


def test_yuv_color_is_l1_on_luma_and_huber_on_chroma() -> None:
    a, b = pictures(seed=1), pictures(seed=2)
    ya, yb = yuv(a).numpy(), yuv(b).numpy()
    expected = np.abs(ya[:, 0] - yb[:, 0]).mean()
    expected += (huber(ya[:, 1] - yb[:, 1], 0.1) + huber(ya[:, 2] - yb[:, 2], 0.1)) / 0.1
    assert float(yuv_color(a, b)) == pytest.approx(expected, rel=1e-12)


def test_half_is_the_mean_of_four() -> None:
    x = pictures().numpy()
    expected = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
    np.testing.assert_allclose(half_size(pictures()).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("loss", [gradient_distance, yuv_color, feature_distance, gram_distance])
def test_losses_of_pairs_have_true_gradients(loss: Callable[..., torch.Tensor]) -> None:
    a, b = pictures(2, 5, seed=1).requires_grad_(), pictures(2, 5, seed=2)
    assert torch.autograd.gradcheck(lambda x: loss(x, b), (a,))


@pytest.mark.parametrize("loss", [total_variation, half_size, yuv, gram])
def test_losses_of_one_have_true_gradients(loss: Callable[..., torch.Tensor]) -> None:
    assert torch.autograd.gradcheck(loss, (pictures(2, 4, seed=3).requires_grad_(),))


def test_distance_is_relative_to_the_target() -> None:
    a, b = pictures(seed=1, channels=7), pictures(seed=2, channels=7)
    expected = np.abs(a.numpy() - b.numpy()).mean() / np.abs(b.numpy()).mean()
    assert float(feature_distance(a, b)) == pytest.approx(expected, rel=1e-12)
    assert float(feature_distance(40 * a, 40 * b)) == pytest.approx(expected, rel=1e-12)


def test_the_target_is_not_learned_from() -> None:
    a, b = pictures(seed=1).requires_grad_(), pictures(seed=2).requires_grad_()
    for loss in (feature_distance, gram_distance):
        loss(a, b).backward()
        assert a.grad is not None and a.grad.abs().max() > 0 and b.grad is None


def test_a_target_without_size_is_not_a_finite_number() -> None:
    nothing = torch.zeros(1, 2, 3, 3)
    assert not torch.isfinite(feature_distance(nothing, nothing))
    assert not torch.isfinite(feature_distance(nothing + 1, nothing))


def gram_by_hand(x: Array) -> Array:
    count, channels, height, width = x.shape
    result = np.zeros((count, channels, channels))
    for n in range(count):
        for j in range(channels):
            for k in range(channels):
                result[n, j, k] = (x[n, j] * x[n, k]).sum() / (channels * height * width)
    return result


def test_gram_is_the_inner_products_of_channels() -> None:
    x = pictures(channels=5, side=6)
    np.testing.assert_allclose(gram(x).numpy(), gram_by_hand(x.numpy()), rtol=1e-12)
    # The same texture on four times the area has the same matrix.
    np.testing.assert_allclose(gram(x.repeat(1, 1, 2, 2)).numpy(), gram(x).numpy(), rtol=1e-12)


def test_gram_distance_is_l1_of_matrices_relative_to_the_styles() -> None:
    seen, style = pictures(channels=4, seed=1), pictures(channels=4, side=9, seed=2)
    a, b = gram_by_hand(seen.numpy()), gram_by_hand(style.numpy())
    expected = np.abs(a - b).mean() / np.abs(b).mean()
    assert float(gram_distance(seen, style)) == pytest.approx(expected, rel=1e-12)


def surface_by_hand(picture: Array, radius: int, eps: float) -> Array:
    """The guided filter of one picture (3 x H x W) window by window, guided by its own luma."""
    guide = np.tensordot([0.299, 0.587, 0.114], picture, 1)
    height, width = guide.shape

    def window(y: int, x: int) -> tuple[slice, slice]:
        return (
            slice(max(y - radius, 0), min(y + radius + 1, height)),
            slice(max(x - radius, 0), min(x + radius + 1, width)),
        )

    a, b, out = np.zeros_like(picture), np.zeros_like(picture), np.zeros_like(picture)
    for c, y, x in np.ndindex(*picture.shape):
        i, p = guide[window(y, x)], picture[c][window(y, x)]
        a[c, y, x] = (np.mean(i * p) - i.mean() * p.mean()) / (i.var() + eps)
        b[c, y, x] = p.mean() - a[c, y, x] * i.mean()
    for c, y, x in np.ndindex(*picture.shape):
        out[c, y, x] = a[c][window(y, x)].mean() * guide[y, x] + b[c][window(y, x)].mean()
    return out


@pytest.mark.parametrize(("radius", "eps"), [(1, 1e-3), (4, 4e-2)])
def test_surface_is_the_picture_filtered_by_its_own_luma(radius: int, eps: float) -> None:
    x = pictures(2, 11)
    seen = surface(x, radius, eps).numpy()
    for n in range(2):
        np.testing.assert_allclose(seen[n], surface_by_hand(x[n].numpy(), radius, eps), atol=1e-9)


def test_surface_takes_texture_and_leaves_edges() -> None:
    rng = np.random.default_rng(0)
    picture = np.full((3, 32, 32), -0.6)
    picture[:, :, 16:] = 0.6
    smooth = surface(torch.from_numpy(picture + rng.normal(0, 0.05, picture.shape))[None])[0].numpy()
    assert smooth[:, :, :10].std() < 0.4 * 0.05
    assert (smooth[:, :, 17] - smooth[:, :, 14]).mean() > 0.9 * 1.2


@pytest.mark.parametrize(
    "view",
    [
        surface,
        lambda x: random_grey(x, torch.tensor([[0.3, 0.6, 0.1]], dtype=torch.float64)),
        lambda x: mix_colors(x, draw_color_mix(1, torch.Generator().manual_seed(0)).double()),
    ],
    ids=["surface", "random_grey", "mix_colors"],
)
def test_views_have_true_gradients(view: Callable[[torch.Tensor], torch.Tensor]) -> None:
    assert torch.autograd.gradcheck(view, (pictures(1, 5).requires_grad_(),))


def test_random_grey_mixes_the_three_channels() -> None:
    x = pictures()
    weights = draw_grey_weights(2, torch.Generator().manual_seed(3))
    grey = random_grey(x, weights.double()).numpy()
    assert grey.shape == x.shape
    for n, c in np.ndindex(2, 3):
        w = weights[n].double().numpy()
        np.testing.assert_allclose(grey[n, c], np.tensordot(w, x[n].numpy(), 1) / w.sum(), rtol=1e-12)


def test_grey_weights_are_drawn_evenly_around_lumas() -> None:
    weights = draw_grey_weights(2000, torch.Generator().manual_seed(3))
    shift = (weights - torch.tensor([0.299, 0.587, 0.114])).numpy()
    assert np.abs(shift).max() <= 0.1 + 1e-6 and (weights > 0).all()
    # A uniform law over [-0.1, 0.1]: mean 0, deviation 0.1 / sqrt 3, each channel by itself.
    np.testing.assert_allclose(shift.mean(0), 0, atol=0.005)
    np.testing.assert_allclose(shift.std(0), 0.1 / np.sqrt(3), rtol=0.05)
    assert np.abs(np.corrcoef(shift.T) - np.eye(3)).max() < 0.1


def test_color_mixes_permute_and_scale_and_keep_black() -> None:
    mixes = draw_color_mix(200, torch.Generator().manual_seed(1))
    assert ((mixes > 0).sum(dim=1) == 1).all() and ((mixes > 0).sum(dim=2) == 1).all()
    assert 0.7 <= mixes[mixes > 0].min() < 0.71 and 1.29 < mixes.max() <= 1.3
    assert len({tuple(order.tolist()) for order in mixes.argmax(2)}) == 6  # every order of three is drawn
    black = mix_colors(torch.full((200, 3, 4, 4), -1.0), mixes)
    assert torch.equal(black, torch.full((200, 3, 4, 4), -1.0))


def test_losses_keep_their_precision_under_autocast() -> None:
    batch, mixes = pictures().float(), draw_color_mix(2, torch.Generator().manual_seed(1))
    exact = gram(batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert yuv(batch).dtype == torch.float32
        assert surface(mix_colors(batch, mixes)).dtype == torch.float32
        assert torch.equal(gram(batch), exact)
    expected = np.einsum("nrc,nchw->nrhw", mixes.numpy(), (batch.numpy() + 1) / 2) * 2 - 1
    np.testing.assert_allclose(mix_colors(batch, mixes).numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("loss", [feature_distance, gram_distance, yuv_color, gradient_distance])
def test_half_types_are_widened_before_anything_is_summed(loss: Callable[..., torch.Tensor]) -> None:
    a, b = pictures(seed=1).bfloat16(), pictures(seed=2).bfloat16()
    value = loss(a, b)
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(float(loss(a.double(), b.double())), rel=1e-5)
