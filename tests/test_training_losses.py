"""Every loss against a direct float64 computation in NumPy, and by gradcheck where it is smooth."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training.data.structure import abstraction, ink_lines, region_means, superpixels
from training.losses.adversarial import hinge_discriminator, hinge_generator
from training.losses.pixels import steps_apart, total_variation, yuv, yuv_colour
from training.losses.surface import (
    draw_colour_mix,
    draw_grey_weights,
    mix_colours,
    random_grey,
    surface,
)


def pictures(count: int = 2, side: int = 12, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, side, side, dtype=torch.float64, generator=generator) * 2 - 1


def test_total_variation_is_the_mean_step_between_neighbours() -> None:
    batch = pictures()
    x = batch.numpy()
    expected = 0.0
    for array, axis in ((x, 3), (x, 2)):
        expected += np.abs(np.diff(array, axis=axis)).mean()
    assert float(total_variation(batch)) == pytest.approx(expected, rel=1e-12)


def test_steps_apart_compares_neighbours_not_colours() -> None:
    a, b = pictures(seed=1), pictures(seed=2)
    expected = 0.0
    for axis in (2, 3):
        expected += np.abs(np.diff(a.numpy(), axis=axis) - np.diff(b.numpy(), axis=axis)).mean()
    assert float(steps_apart(a, b)) == pytest.approx(expected, rel=1e-12)
    assert float(steps_apart(a, a + 0.3)) == pytest.approx(0, abs=1e-12)


def test_yuv_has_bt601_luma_and_neutral_greys() -> None:
    x = (pictures().numpy() + 1) / 2
    planes = yuv(pictures()).numpy()
    np.testing.assert_allclose(planes[:, 0], 0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2])
    np.testing.assert_allclose(planes[:, 1], 0.492111 * (x[:, 2] - planes[:, 0]), atol=2e-4)
    np.testing.assert_allclose(planes[:, 2], 0.877283 * (x[:, 0] - planes[:, 0]), atol=2e-4)


def huber(difference: NDArray[np.float64], delta: float) -> float:
    size = np.abs(difference)
    return float(np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta)).mean())


def test_yuv_colour_is_l1_on_luma_and_huber_on_chroma() -> None:
    a, b = pictures(seed=1), pictures(seed=2)
    ya, yb = yuv(a).numpy(), yuv(b).numpy()
    expected = np.abs(ya[:, 0] - yb[:, 0]).mean()
    expected += huber(ya[:, 1] - yb[:, 1], 0.1) + huber(ya[:, 2] - yb[:, 2], 0.1)
    assert float(yuv_colour(a, b)) == pytest.approx(expected, rel=1e-6)


def test_hinge_losses() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 1.0])
    # max(0, 1 - r) = 0, 0.5, 2 and max(0, 1 + f) = 0, 1, 2.
    assert float(hinge_discriminator([real], [fake])) == pytest.approx(2.5 / 3 + 3 / 3)
    assert float(hinge_generator([fake])) == pytest.approx(2 / 3)
    doubled = float(hinge_discriminator([real, real], [fake, fake]))
    assert doubled == pytest.approx(float(hinge_discriminator([real], [fake])))


@pytest.mark.parametrize("loss", [surface, lambda x: random_grey(x, torch.tensor([[0.3, 0.6, 0.1]]))])
def test_representations_have_true_gradients(loss: object) -> None:
    x = pictures(1, 10).requires_grad_()
    assert callable(loss)
    assert torch.autograd.gradcheck(lambda x: loss(x).pow(2).sum(), (x,), eps=1e-6, atol=1e-4)


def test_random_grey_mixes_the_three_channels() -> None:
    x = pictures()
    weights = draw_grey_weights(2, torch.Generator().manual_seed(3))
    assert ((weights - torch.tensor([0.299, 0.587, 0.114])).abs() <= 0.1).all()
    grey = random_grey(x, weights.double()).numpy()
    for n in range(2):
        w = weights[n].double().numpy()
        np.testing.assert_allclose(grey[n, 1], np.tensordot(w, x[n].numpy(), 1) / w.sum(), rtol=1e-6)


def test_colour_mixes_permute_and_scale_and_keep_black() -> None:
    mixes = draw_colour_mix(5, torch.Generator().manual_seed(1))
    assert ((mixes > 0).sum(dim=1) == 1).all() and ((mixes > 0).sum(dim=2) == 1).all()
    assert mixes[mixes > 0].min() >= 0.7 and mixes.max() <= 1.3
    black = mix_colours(torch.full((5, 3, 4, 4), -1.0), mixes)
    assert torch.equal(black, torch.full((5, 3, 4, 4), -1.0))


def test_region_means_paint_each_region_in_its_mean() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((9, 7, 3)).astype(np.float32)
    labels = rng.integers(0, 4, (9, 7)).astype(np.int64)
    painted = region_means(image, labels)
    for label in range(4):
        np.testing.assert_allclose(
            painted[labels == label],
            np.broadcast_to(image[labels == label].mean(0), (int((labels == label).sum()), 3)),
            rtol=1e-5,
        )


def test_abstraction_flattens_texture_and_inks_the_edge() -> None:
    rng = np.random.default_rng(0)
    photo = np.full((96, 96, 3), 170, np.uint8)
    photo[:, 48:] = (60, 90, 140)
    photo = np.clip(photo + rng.normal(0, 4, photo.shape), 0, 255).astype(np.uint8)
    painted = abstraction(photo)
    assert painted[8:88, 8:38].std(axis=(0, 1)).max() < 0.4 * photo[8:88, 8:38].std(axis=(0, 1)).min()
    luma = cv2.cvtColor(painted, cv2.COLOR_RGB2GRAY).astype(float)
    assert luma[20:76, 48:51].min(axis=1).mean() < luma[20:76, 60:80].mean() - 15
    assert ink_lines(photo).shape == (96, 96) and superpixels(photo).max() < 100


def test_losses_keep_their_precision_under_autocast() -> None:
    batch = pictures().float()
    mixes = draw_colour_mix(2, torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16):
        assert yuv(batch).dtype == torch.float32
        assert surface(mix_colours(batch, mixes)).dtype == torch.float32
    expected = np.einsum("nrc,nchw->nrhw", mixes.numpy(), (batch.numpy() + 1) / 2) * 2 - 1
    np.testing.assert_allclose(mix_colours(batch, mixes).numpy(), expected, atol=1e-6)
