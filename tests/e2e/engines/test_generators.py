"""The generators: size, shape, what they promise of their start, and the normalization of one's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from engines.errors import StyleError
from engines.generators import GENERATORS, create
from engines.generators.lwcomicgan import EPS, LIN, LWComicGAN, _as, _larger

Array = NDArray[np.float64]


def _conv(kernel: int, taken: int, given: int) -> int:
    """The weights of a convolution without its bias."""
    return kernel * kernel * taken * given


def _norm(*channels: int) -> int:
    """Gain and bias of every normalized channel."""
    return 2 * sum(channels)


def _separable(taken: int, given: int) -> int:
    """Depthwise 3x3, 1x1 and the normalization after both."""
    return 9 * taken + taken * given + _norm(given)


def _residual(channels: int) -> int:
    return 2 * _conv(3, channels, channels) + _norm(channels, channels)


def _cyclegan() -> int:
    ends = _conv(7, 3, 64) + _norm(64) + _conv(7, 64, 3) + 3
    down = _conv(3, 64, 128) + _conv(3, 128, 256) + _norm(128, 256)
    up = _conv(3, 256, 128) + _conv(3, 128, 64) + _norm(128, 64)
    return ends + down + 9 * _residual(256) + up


def _cartoongan() -> int:
    ends = _conv(7, 3, 64) + _norm(64) + _conv(7, 64, 3) + 3
    pairs = [(64, 128), (128, 256), (256, 128), (128, 64)]
    way = sum(_conv(3, a, b) + b + _conv(3, b, b) + _norm(b) for a, b in pairs)
    return ends + way + 8 * _residual(256)


def _animegan() -> int:
    convs = [(3, 64), (64, 64), (128, 128), (256, 256), (256, 256), (128, 128), (128, 64), (64, 64)]
    plain = sum(_conv(3, a, b) + _norm(b) for a, b in convs)
    down = 2 * _separable(64, 128) + 2 * _separable(128, 256)
    level = _separable(128, 128)
    up = _separable(256, 128) + _separable(128, 128)
    inverted = 256 * 512 + 9 * 512 + 512 * 256 + _norm(512, 512, 256)
    return plain + down + 2 * level + up + 8 * inverted + _conv(1, 64, 3)


def _resnet18() -> int:
    def layer(a: int, b: int) -> int:
        bodies = _conv(3, a, b) + 3 * _conv(3, b, b) + _norm(b, b, b, b)
        return bodies + 2 * (_conv(3, a + b, b) + b)

    stem = _conv(7, 3, 64) + _norm(64)
    down = layer(64, 64) + layer(64, 128) + layer(128, 256) + layer(256, 512)
    up = sum(_conv(3, a, b) + _norm(b) for a, b in [(512, 256), (256, 128), (128, 64)])
    return stem + down + up + (64 * 64 + 64) + (64 * 32 + 32) + _conv(7, 32, 3) + 3


def _lwcomicgan() -> int:
    convs = [(32, 64), (64, 64), (64, 184), (184, 64), (64, 64), (64, 32), (32, 32)]
    way = sum(_conv(3, a, b) + _norm(b) for a, b in convs)
    return _conv(7, 3, 32) + _norm(32) + way + 4 * _residual(184) + _conv(3, 32, 3) + 3


def _lite() -> int:
    ends = _conv(3, 48, 64) + 64 + _conv(3, 64, 48) + 48
    return ends + 8 * (_conv(3, 64, 64) + 64)


@pytest.mark.parametrize(
    "name, by_hand, stated",
    [
        ("animegan", _animegan(), 3_956_096),  # the paper's count
        ("cartoon-to-human", _cyclegan(), 11_383_427),
        ("cartoongan", _cartoongan(), 11_124_931),
        ("cyclegan", _cyclegan(), 11_383_427),
        ("lite", _lite(), 350_832),
        ("lwcomicgan", _lwcomicgan(), 2_778_995),
        ("resnet18", _resnet18(), 22_001_923),
        ("unet", 1_467_075, 1_467_075),
    ],
)
def test_generators_have_the_parameters_they_state(name: str, by_hand: int, stated: int) -> None:
    assert sum(p.numel() for p in create(name).parameters()) == by_hand == stated


def test_sizes_are_near_the_papers() -> None:
    unet = sum(p.numel() for p in create("unet").parameters())
    assert unet == pytest.approx(1.48e6, rel=0.01)  # the thesis' Table 1
    assert unet * 4 / 2**20 == pytest.approx(5.6, abs=0.05)  # its 5.6 MB
    assert _lwcomicgan() == pytest.approx(2_796_416, rel=0.01)  # Table III
    assert _cyclegan() == pytest.approx(11.38e6, rel=0.001)


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_are_fully_convolutional(name: str) -> None:
    network = create(name).eval()
    multiple = network.size_multiple
    assert isinstance(multiple, int)
    for height, width in ((multiple, multiple), (multiple * 2, multiple * 3)):
        taken, given = getattr(network, "channels", (3, 3))
        picture = torch.rand(2, taken, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1
        with torch.no_grad():
            cartoon = network(picture)
        assert cartoon.shape == (2, given, height, width)
        assert cartoon.isfinite().all()
        assert cartoon.abs().max() <= 1.0001


@pytest.mark.parametrize("name", [name for name in GENERATORS if name != "unet"])
def test_everything_learns(name: str) -> None:
    torch.manual_seed(0)
    network = create(name).train()
    multiple = network.size_multiple
    assert isinstance(multiple, int)
    with torch.no_grad():  # some blocks start as the identity: what is inside moves from the second step on
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape), alpha=0.01)
    taken = getattr(network, "channels", (3, 3))[0]
    picture = torch.rand(1, taken, 2 * multiple, 2 * multiple) * 2 - 1
    network(picture).square().mean().backward()
    for key, weight in network.named_parameters():
        assert weight.grad is not None, key
        assert weight.grad.isfinite().all(), key
        assert weight.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", ["lite", "unet"])
def test_these_start_as_the_identity(name: str) -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 32, 48) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(create(name)(picture), picture, atol=1e-5, rtol=0)


def test_lite_takes_less_than_a_fifth_of_the_unets_operations() -> None:
    def operations(name: str) -> int:
        picture = torch.zeros(1, 3, 360, 640)
        with FlopCounterMode(display=False) as counted, torch.no_grad():
            create(name)(picture)
        return counted.get_total_flops()

    assert operations("unet") / 6 < operations("lite") < operations("unet") / 5


def test_unknown_generator_is_one_sentence() -> None:
    with pytest.raises(StyleError, match=r"unknown generator 'vnet'.*unet"):
        create("vnet")


def _two_pictures() -> Array:
    """Maps for LIN, 2 x 5 x 6 x 7, the first picture's channels of their own means and deviations.

    All values are values of bf16, so that every type starts from the same.
    """
    maps = np.random.default_rng(0).normal(size=(2, 5, 6, 7))
    maps[0] *= np.array([0.2, 0.5, 1, 2, 3])[:, None, None]
    maps[0] += np.arange(5)[:, None, None] - 2
    return torch.from_numpy(maps).to(torch.bfloat16).double().numpy()


def _lin_by_hand(maps: Array, weight: Array, bias: Array) -> tuple[Array, Array]:
    """Eq. 7 value by value, and where instance normalization won."""
    out, won = np.empty_like(maps), np.empty(maps.shape, bool)
    for n, c, y, x in np.ndindex(*maps.shape):
        own, all_, value = maps[n, c], maps[n], maps[n, c, y, x]
        by_instance = (value - own.mean()) / math.sqrt(own.var() + EPS)
        by_layer = (value - all_.mean()) / math.sqrt(all_.var() + EPS)
        won[n, c, y, x] = by_instance >= by_layer
        out[n, c, y, x] = weight[c] * max(by_instance, by_layer) + bias[c]
    return out, won


def _lin_of(dtype: torch.dtype) -> tuple[LIN, Tensor, Array]:
    """A LIN with gain and bias, maps for it and what has to come out."""
    layer, maps, dice = LIN(5), _two_pictures(), np.random.default_rng(1)
    weight, bias = dice.uniform(0.5, 2, 5), dice.normal(size=5)
    expected, won = _lin_by_hand(maps, weight, bias)
    assert 0.2 < won.mean() < 0.8, "both normalizations have their say"
    if dtype == torch.float64:
        layer = layer.double()
    layer.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
    return layer, torch.from_numpy(maps).to(dtype), expected


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["planes", "last"])
@pytest.mark.parametrize(
    "dtype, atol", [(torch.float64, 1e-12), (torch.float32, 3e-5), (torch.bfloat16, 0.06)]
)
def test_lin_is_the_larger_of_both_normalizations(
    layout: torch.memory_format, dtype: torch.dtype, atol: float
) -> None:
    layer, maps, expected = _lin_of(dtype)
    maps = maps.to(memory_format=layout)
    with torch.no_grad():
        plain = torch.addcmul(_as(layer.bias, maps), _larger(maps), _as(layer.weight, maps))
        for out in (layer(maps), plain):
            assert out.dtype == dtype
            assert np.abs(out.double().numpy() - expected).max() <= atol


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["planes", "last"])
def test_lins_gradient_is_right(layout: torch.memory_format) -> None:
    layer, maps, _ = _lin_of(torch.float64)
    maps = maps.to(memory_format=layout).requires_grad_()

    def run(maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        out: Tensor = torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (maps,))
        return out

    assert torch.autograd.gradcheck(run, (maps, layer.weight, layer.bias))


def test_lins_gradient_in_bf16_is_near_that_in_fp32() -> None:
    layer, maps, _ = _lin_of(torch.float32)
    torch.manual_seed(0)
    grad = torch.randn(maps.shape).to(torch.bfloat16).float()
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        own = maps.to(torch.bfloat16).to(dtype, memory_format=torch.channels_last).requires_grad_()
        layer.zero_grad()
        layer(own).backward(grad.to(dtype))
        assert own.grad is not None and layer.weight.grad is not None and layer.bias.grad is not None
        assert own.grad.is_contiguous(memory_format=torch.channels_last)
        gradients.append([own.grad.float(), layer.weight.grad.clone(), layer.bias.grad.clone()])
    for exact, near in zip(*gradients, strict=True):
        assert (near - exact).abs().max() <= 0.01 * exact.abs().max()


def test_lwcomicgans_weights_keep_their_names() -> None:
    keys = LWComicGAN(blocks=1).state_dict().keys()
    body = [f"blocks.0.body.{key}" for key in ("0.0.weight", "0.1.weight", "0.1.bias", "1.weight")]
    assert {*body, "blocks.0.body.2.weight", "blocks.0.body.2.bias", "head.weight", "head.bias"} <= set(keys)
    ups = [f"up{level}.{at}.{key}" for level in (1, 2) for at in (0, 1) for key in ("0.weight", "1.weight")]
    assert {*ups, "encoder.3.0.weight", "encoder.3.1.bias"} <= set(keys)
    assert len(keys) == 3 * 10 + 2  # two convolutions of a block, four down, four up; the head
