"""Ranges of int8: peaks of channels over many images, and narrower scales for the sums of a graph."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.generators import create
from engines.quantization.activation_ranges import narrow_ranges
from engines.quantization.equalization import equalized
from engines.quantization.peaks import ChannelPeaks


@pytest.mark.parametrize("share", [0.0, 1e-3, 0.02, 0.3])
def test_peaks_are_those_of_all_images_sorted_together(share: float) -> None:
    dice = np.random.default_rng(0)
    images = [dice.normal(size=(1, 3, side, 20)).astype(np.float32) * side for side in (8, 30, 17)]
    peaks = ChannelPeaks(share, 20 * (8 + 30 + 17))
    for image in images:
        peaks.add(image)
    values = np.concatenate([np.abs(image[0]).reshape(3, -1) for image in images], axis=1)
    wanted = [sorted(channel, reverse=True)[int(share * len(channel))] for channel in values.tolist()]
    assert np.array_equal(peaks.peaks(), np.asarray(wanted, np.float32))


def test_a_bound_above_the_images_changes_nothing() -> None:
    image = np.random.default_rng(1).normal(size=(1, 2, 40, 50))
    exact, loose = ChannelPeaks(0.01, 2000), ChannelPeaks(0.01, 90000)
    exact.add(image)
    loose.add(image)
    assert np.array_equal(exact.peaks(), loose.peaks())


def test_peaks_need_an_image() -> None:
    with pytest.raises(ValueError, match="no image"):
        ChannelPeaks(0.1, 10).peaks()


@torch.inference_mode()
def test_equalized_sums_leave_the_same_share_of_every_channel_beyond_their_range() -> None:
    torch.manual_seed(0)
    network = create("fields").double()
    network.stem.weight[0] *= 10  # type: ignore[union-attr, index, operator]
    pictures = [torch.rand(1, 24, 40, 50, dtype=torch.float64) * 2 - 1 for _ in range(3)]
    twin = equalized(network, pictures, 0.01)
    expected = network(pictures[0])
    assert torch.allclose(twin(pictures[0]), expected, atol=1e-9 * float(expected.abs().max()))
    taken: list[list[torch.Tensor]] = []
    writers, readers = twin.equalization_groups()[0]  # type: ignore[operator]
    assert len(writers) == 6
    for reader in readers:
        seen: list[torch.Tensor] = []
        taken.append(seen)
        reader.register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0][0].flatten(1)))
    for picture in pictures:
        twin(picture)
    ordered = torch.stack([torch.cat(seen, 1).abs().sort(1, descending=True).values for seen in taken])
    widest = ordered[:, :, 60].amax(0)  # 1 % of 6,000 values are larger
    assert torch.allclose(widest, widest.max().expand_as(widest), rtol=1e-9)
    assert (ordered[:, :, 0].amax(0) > 1.2 * widest).all()


def graphs() -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """A graph with a sum, its ReLU and a convolution before it, and the same with rounded activations."""
    weight = numpy_helper.from_array(np.eye(2, dtype=np.float32)[:, :, None, None], "weight")
    steps = [
        helper.make_node("Conv", ["picture", "weight"], ["conv"]),
        helper.make_node("Add", ["conv", "picture"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["positive"]),
    ]
    given = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 2, "h", "w"])
    result = helper.make_tensor_value_info("positive", TensorProto.FLOAT, [1, 2, "h", "w"])
    model = helper.make_model(helper.make_graph(steps, "plain", [given], [result], [weight]))
    names = ("conv", "sum", "positive")
    scale = [numpy_helper.from_array(np.asarray(1, np.float32), f"{name}_scale") for name in names]
    zero = [
        numpy_helper.from_array(np.asarray(0, kind), name)
        for kind, name in ((np.int8, "int8"), (np.uint8, "uint8"))
    ]
    rounded = [
        helper.make_node("QuantizeLinear", [name, f"{name}_scale", kind], [f"{name}_codes"])
        for name, kind in (("conv", "int8"), ("sum", "int8"), ("positive", "uint8"))
    ]
    graph = helper.make_graph([*steps, *rounded], "rounded", [given], [result], [weight, *scale, *zero])
    return model, helper.make_model(graph)


def scales(model: onnx.ModelProto) -> dict[str, float]:
    return {
        value.name.removesuffix("_scale"): float(numpy_helper.to_array(value))
        for value in model.graph.initializer
        if value.name.endswith("_scale")
    }


def test_sums_get_the_range_of_their_widest_channel_and_nothing_else_changes() -> None:
    model, quantized = graphs()
    images: list[NDArray[np.float32]] = []
    for image in range(2):
        ramp = np.linspace(-1, 1, 100, dtype=np.float32).reshape(10, 10)
        images.append(np.stack([ramp, 3 * ramp])[None])
        images[-1][0, :, 0, image] = 50  # an outlier of each channel
    narrow_ranges(quantized, model, images, 0.02)
    found = scales(quantized)
    sums = 2 * np.concatenate([image[0, 1].ravel() for image in images])  # 4 of 200 may be larger
    assert found["conv"] == 1.0
    assert found["sum"] == pytest.approx(np.sort(np.abs(sums))[-5] / 127, rel=1e-6)
    assert found["positive"] == pytest.approx(np.sort(np.maximum(sums, 0))[-5] / 255, rel=1e-6)


def test_no_range_grows() -> None:
    model, quantized = graphs()
    image = np.full((1, 2, 4, 4), 1000, np.float32)
    narrow_ranges(quantized, model, [image], 0.0)
    assert scales(quantized) == {"conv": 1.0, "sum": 1.0, "positive": 1.0}
