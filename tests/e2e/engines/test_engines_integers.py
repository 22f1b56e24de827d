"""What an int8 graph is made of: the same function in another form, even channels, roundings that cancel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.generators import create
from engines.generators.unet_space_to_depth import (
    PIXELS,
    SpaceToDepthConv,
    SpaceToDepthUNet,
    SpaceToDepthUpsample,
)
from engines.quantization.equalization import equalized

onnx = pytest.importorskip("onnx", reason="the extra `train` is not installed")

from onnx import numpy_helper  # noqa: E402
from rgb_styles import whole_style  # noqa: E402

from engines.quantization import weight_rounding  # noqa: E402
from engines.quantization.weight_rounding import rounded  # noqa: E402
from engines.registry.style import load_style  # noqa: E402


def shaken(name: str) -> nn.Module:
    """A generator that does not begin as the identity, in float64."""
    torch.manual_seed(5)
    network = create(name).double().eval()
    with torch.no_grad():
        for values in network.parameters():
            values.add_(0.05 * torch.randn_like(values))
    return network


def fold(x: Tensor) -> Tensor:
    """N x C x H x W to N x 4C x H/2 x W/2, pixel by pixel of each square, written out."""
    return torch.cat([x[:, :, down::2, right::2] for down, right in PIXELS], 1)


@pytest.mark.parametrize("height, width", [(8, 12), (20, 4), (36, 28)])
def test_the_form_for_integers_is_the_same_function(height: int, width: int) -> None:
    network: Any = shaken("unet")
    form = SpaceToDepthUNet(network).double()  # its weights were float32 once
    picture = torch.rand(2, 3, height, width, dtype=torch.float64) * 2 - 1
    with torch.inference_mode():
        expected = network(picture)
        assert torch.allclose(form(picture), expected, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("side", [1, 3, 5, 7])
@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[:1], PIXELS[2:3]])
def test_a_convolution_of_folded_pictures(side: int, pixels: tuple[tuple[int, int], ...]) -> None:
    torch.manual_seed(side)
    conv = nn.Conv2d(3, 2, side, padding=side // 2)
    x = torch.randn(1, 3, 12, 10)
    with torch.inference_mode():
        expected = torch.cat([conv(x)[:, :, down::2, right::2] for down, right in pixels], 1)
        assert torch.allclose(SpaceToDepthConv(conv, pixels)(fold(x)), expected, atol=1e-5)


def test_enlarging_by_a_convolution() -> None:
    x = torch.randn(1, 3, 5, 7)
    expected = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    with torch.inference_mode():
        assert torch.allclose(SpaceToDepthUpsample(3)(x), fold(expected), atol=1e-6)


@pytest.mark.parametrize("name", ["unet", "lite"])
def test_equal_channels_compute_the_same(name: str) -> None:
    network: Any = shaken(name)
    with torch.no_grad():  # one channel in ten times the others' range
        network.stem.weight[0] *= 10
    pictures = [torch.rand(1, 3, 16, 24, dtype=torch.float64) * 2 - 1 for _ in range(3)]
    twin = equalized(network, pictures)
    with torch.inference_mode():
        for picture in pictures:
            expected = network(picture)
            assert torch.allclose(twin(picture), expected, atol=1e-9 * float(expected.abs().max()))
    for _, readers in twin.equalization_groups():  # type: ignore[operator]
        largest = torch.zeros(readers[0].in_channels, dtype=torch.float64)

        def watch(_: nn.Module, taken: tuple[Tensor], largest: Tensor = largest) -> None:
            largest.copy_(largest.maximum(taken[0].abs().amax((0, 2, 3))))

        for reader in readers:
            reader.register_forward_pre_hook(watch)
        with torch.inference_mode():
            for picture in pictures:
                twin(picture)
        assert torch.allclose(largest, largest.max().expand_as(largest), rtol=1e-6)


def test_a_generator_that_cannot_be_scaled_stays() -> None:
    network = create("lwcomicgan")
    assert equalized(network, []) is network


def test_roundings_cancel() -> None:
    dice = np.random.default_rng(3)
    weight = dice.normal(size=(6, 16, 3, 3))
    scale = np.abs(weight).max(axis=(1, 2, 3)) / 127
    mixed = dice.normal(size=(144, 20)) @ dice.normal(size=(20, 5000)) + 0.1 * dice.normal(size=(144, 5000))
    inputs = mixed + dice.uniform(0.1, 2, (144, 1))
    codes = rounded(weight, scale, inputs @ inputs.T / 5000)
    assert codes.dtype == np.int8
    steps = (weight / scale[:, None, None, None]).reshape(6, -1)

    def error(rounding: np.ndarray) -> float:
        return float(np.sqrt((((rounding.reshape(6, -1) - steps) @ inputs) ** 2).mean()))

    assert error(codes) < 0.3 * error(np.round(steps))


def test_inputs_that_have_nothing_in_common_round_to_the_nearest() -> None:
    weight = np.random.default_rng(4).normal(size=(5, 4, 3, 3))
    scale = np.abs(weight).max(axis=(1, 2, 3)) / 127
    codes = rounded(weight, scale, np.diag(np.linspace(1, 2, 36)))
    assert np.array_equal(codes, np.round(weight / scale[:, None, None, None]))


@pytest.mark.parametrize(("pad", "stride", "dilation"), [(0, 1, 1), (1, 1, 1), (1, 2, 1), (2, 1, 2)])
def test_a_convolution_reads_what_torch_unfolds(pad: int, stride: int, dilation: int) -> None:
    image = torch.randn(1, 3, 12, 10)
    settings = {"pads": [pad] * 4, "strides": [stride] * 2, "dilations": [dilation] * 2}
    node = onnx.helper.make_node("Conv", ["picture", "weight"], ["result"], **settings)
    read = weight_rounding._inputs(node, image[0].numpy(), [3, 3], np.random.default_rng(0))
    places = F.unfold(image, 3, dilation=dilation, padding=pad, stride=stride)[0].T.tolist()
    found = {tuple(place) for place in read.T.tolist()}
    assert found <= {tuple(place) for place in places}
    assert len(found) > 0.9 * len(places)


@pytest.mark.parametrize("form", ["full", "lite"])
@pytest.mark.parametrize("kind", ["fields", "pictures"])
def test_the_first_weights_leave_avx2_room_to_add_two_products(kind: str, form: str) -> None:
    """AVX2 adds 8-bit products in pairs of 16 bits: 255 x 63 twice fits, and 255 x 127 twice does not."""
    style = load_style("comic") if kind == "fields" else whole_style()
    graph = (style.lite if form == "lite" else style).int8_graph  # type: ignore[union-attr]
    assert graph is not None
    model = onnx.load(graph)
    maker = {name: node for node in model.graph.node for name in node.output}
    stored = {value.name: numpy_helper.to_array(value) for value in model.graph.initializer}
    largest = [
        int(np.abs(stored[maker[node.input[1]].input[0]].astype(int)).max())
        for node in model.graph.node
        if node.op_type == "Conv"
    ]
    assert 2 * 255 * largest[0] < 2**15 <= 2 * 255 * max(largest)
