"""The discriminators: what they reach, what they give, how steep they are, and that they learn."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from training.discriminators import DISCRIMINATORS, create
from training.discriminators.base import Discriminator, ImageDiscriminator
from training.discriminators.residual import DownBlock
from training.losses.adversarial import OBJECTIVES, gradient_penalty

ON_PICTURES = ["lwcomicgan", "patchgan", "residual", "resnet18", "white-box"]

KERNELS_AND_STRIDES = {
    "lwcomicgan": [(3, 1), (3, 2), (3, 1), (3, 2), (3, 1), (3, 1), (3, 1)],
    "patchgan": [(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)],
    "residual": [(1, 1), *[(3, 1), (3, 1), (2, 2)] * 3, (3, 1), (1, 1)],
    "resnet18": [(4, 2), (5, 1), (4, 2), (3, 1), (4, 2), (3, 1), (3, 1)],
    "white-box": [(3, 2), (3, 1), (3, 2), (3, 1), (3, 2), (3, 1), (1, 1)],
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small cost more to share out than to work through."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small(name: str, channels: int = 4) -> ImageDiscriminator:
    torch.manual_seed(0)
    network = type(create(name))(channels)
    assert isinstance(network, ImageDiscriminator)
    return network


def seen(network: Discriminator, count: int = 2, side: int = 64, seed: int = 0) -> list[torch.Tensor]:
    """What it looks at: a picture, or features at its layers as VGG-16 gives them."""
    draw = torch.Generator().manual_seed(seed)
    if not network.layers:
        return [torch.rand(count, 3, side, side, generator=draw) * 2 - 1]
    widths = {"1": 64, "2": 128, "3": 256}
    return [
        torch.rand(count, widths[layer[4]], side >> level, side >> level, generator=draw)
        for level, layer in enumerate(network.layers)
    ]


def receptive_field(layers: list[tuple[int, int]]) -> int:
    """From the score back to the picture: r <- (r - 1) stride + kernel."""
    field = 1
    for kernel, stride in reversed(layers):
        field = (field - 1) * stride + kernel
    return field


@pytest.mark.parametrize("name", ON_PICTURES)
def test_a_score_reaches_as_far_as_its_paper_says(name: str) -> None:
    network = small(name)
    for module in network.modules():
        for part, child in module.named_children():
            if isinstance(child, nn.InstanceNorm2d):  # its statistics reach everywhere, on purpose
                setattr(module, part, nn.Identity())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()  # nothing cancels: a gradient of zero then means out of reach
    network.eval()
    picture = torch.ones(1, 3, 192, 192, requires_grad=True)
    (scores,) = network([picture])
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    assert picture.grad is not None
    reached = picture.grad[0].abs().sum(0) > 0
    for axis in (0, 1):
        lines = reached.any(axis).nonzero().flatten()
        assert lines[0] > 0 and lines[-1] < 191
        assert int(lines[-1] - lines[0]) + 1 == receptive_field(KERNELS_AND_STRIDES[name])


def test_both_papers_of_70_pixels_get_70() -> None:
    assert receptive_field(KERNELS_AND_STRIDES["patchgan"]) == 70
    assert receptive_field(KERNELS_AND_STRIDES["resnet18"]) == 70


SCORES = {
    "lwcomicgan": [(16, 12)],
    "patchgan": [(6, 4)],
    "residual": [(8, 6)],
    "resnet18": [(8, 6)],
    "white-box": [(8, 6)],
}
MIDDLE = {
    "lwcomicgan": (128, 16, 12),
    "patchgan": (256, 8, 6),
    "residual": (256, 16, 12),
    "resnet18": (128, 16, 12),
    "white-box": (64, 16, 12),
}


@pytest.mark.parametrize("name", ON_PICTURES)
def test_scores_and_the_middle_layer_have_their_sizes(name: str) -> None:
    network = create(name)
    assert isinstance(network, ImageDiscriminator) and network.layers == ()
    picture = (torch.rand(2, 3, 64, 48) * 2 - 1).requires_grad_()
    assert [tuple(scores.shape) for scores in network([picture])] == [(2, 1, *hw) for hw in SCORES[name]]
    features = network.middle_features([picture])
    assert tuple(features.shape) == (2, *MIDDLE[name])
    features.sum().backward()
    assert picture.grad is not None and picture.grad.abs().max() > 0


def test_heads_judge_every_level() -> None:
    network = create("vgg-heads")
    assert network.layers == ("conv1_2", "conv2_2", "conv3_3")
    assert [tuple(scores.shape) for scores in network(seen(network))] == [
        (2, 1, 32, 32), (2, 1, 16, 16), (2, 1, 16, 16),
    ]  # fmt: skip
    # Every level by its own mean: a file of weights of another scale changes nothing.
    network.eval()
    for plain, scaled in zip(network(seen(network)), network([50 * x for x in seen(network)]), strict=True):
        torch.testing.assert_close(plain, scaled, rtol=1e-2, atol=1e-3)


def test_the_registry_is_complete_and_light() -> None:
    assert sorted([*ON_PICTURES, "vgg-heads"]) == sorted(DISCRIMINATORS)
    code = "import sys, training.discriminators; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_widths_are_those_of_the_papers() -> None:
    def widths(name: str) -> list[int]:
        return [m.out_channels for m in create(name).modules() if isinstance(m, nn.Conv2d)]

    assert widths("patchgan") == [64, 128, 256, 512, 1]
    assert widths("resnet18") == [64, 64, 128, 128, 256, 256, 1]
    assert widths("lwcomicgan") == [32, 64, 128, 128, 256, 256, 1]
    # The known count of CycleGAN's, 2,764,737, has biases under three normalizations, which do nothing.
    assert sum(p.numel() for p in create("patchgan").parameters()) == 2_764_737 - 128 - 256 - 512


@pytest.mark.parametrize("name", ["lwcomicgan", "white-box", "vgg-heads"])
def test_spectral_norms_are_one(name: str) -> None:
    network = create(name) if name == "vgg-heads" else small(name, 8)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
        for _ in range(60):  # a power iteration each
            network(seen(network, 1, 16))
    network.eval()
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == (9 if name == "vgg-heads" else 7)
    for convolution in convolutions:
        weight = convolution.weight.detach().double().numpy()
        largest = np.linalg.svd(weight.reshape(len(weight), -1), compute_uv=False)[0]
        assert largest == pytest.approx(1, abs=0.02)


def test_a_down_block_is_two_convolutions_beside_one_over_the_root_of_two() -> None:
    torch.manual_seed(0)
    block, x = DownBlock(3).double(), torch.randn(2, 3, 8, 6, dtype=torch.float64)
    first, second = block.body[0], block.body[2]
    assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)
    y = F.leaky_relu(F.conv2d(x, first.weight, first.bias, padding=1), 0.2)
    y = F.leaky_relu(F.conv2d(y, second.weight, second.bias, padding=1), 0.2)
    full = (y + F.conv2d(x, block.skip.weight)) / np.sqrt(2)
    expected = full.view(2, 6, 4, 2, 3, 2).mean((3, 5))
    torch.testing.assert_close(block(x), expected)


def noise(count: int, rough: bool, seed: int, network: Discriminator) -> list[torch.Tensor]:
    """Two kinds of noise of one mean and deviation that differ in how neighbours go together."""
    draw, made = torch.Generator().manual_seed(seed), []
    for x in seen(network, 1, 32 if network.layers else 48):
        plane = torch.randn(count, *x.shape[1:], generator=draw)
        if not rough:
            plane = F.avg_pool2d(F.pad(plane, (1, 1, 1, 1), mode="circular"), 3, 1) * 3
        made.append((plane * 0.3).clamp(-1, 1) if not network.layers else plane.relu())
    return made


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_it_learns_to_tell_two_kinds_of_noise_apart(name: str) -> None:
    torch.manual_seed(0)
    network = create(name) if name == "vgg-heads" else small(name, 8)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3, betas=(0.5, 0.99))
    for step in range(40 if network.layers else 60):
        real, fake = noise(4, False, 2 * step, network), noise(4, True, 2 * step + 1, network)
        loss = OBJECTIVES["hinge"].discriminator(network(real), network(fake))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        real, fake = network(noise(8, False, 1001, network)), network(noise(8, True, 1002, network))
    judged = [torch.stack([s.flatten(1).mean(1) for s in scores]).mean(0) for scores in (real, fake)]
    assert judged[0].min() > judged[1].max()


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_channels_last_gives_the_same_scores(name: str) -> None:
    network = (create(name) if name == "vgg-heads" else small(name, 8)).eval()
    shown = seen(network, 2, 32)
    expected = [s.detach() for s in network(shown)]
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    scores = network([x.contiguous(memory_format=torch.channels_last) for x in shown])
    for got, wanted in zip(scores, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5)
    OBJECTIVES["hinge"].generator(scores).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_its_slope_can_be_penalised(name: str) -> None:
    torch.manual_seed(0)
    network = create(name) if name == "vgg-heads" else small(name, 8)
    real, fake = seen(network, 2, 32, 1), seen(network, 2, 32, 2)
    gradient_penalty(network, real, fake, torch.rand(2)).backward()
    for parameter_name, parameter in network.named_parameters():
        if not parameter_name.endswith("bias"):  # biases shift scores: most leave the slope as it is
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), parameter_name
            assert parameter.grad.abs().max() > 0, parameter_name
