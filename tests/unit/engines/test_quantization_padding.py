"""Padding ahead of int8 convolutions: where it goes, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.quantization.wide_padding import pad_ahead

pytest.importorskip("openvino", reason="the extra `openvino` is not installed")


def rounded_convolution(dilation: int, *, is_rounded: bool = True) -> onnx.ModelProto:
    """A 3 x 3 convolution of two channels whose input is rounded to 8 bits, as NNCF writes it."""
    dice = np.random.default_rng(0)
    constants = {
        "scale": np.float32(0.05),
        "zero": np.int8(0),
        "weight": dice.integers(-127, 128, (2, 2, 3, 3)).astype(np.int8),
        "weight_scale": np.float32(0.01),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["picture", "scale", "zero"], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["values"]),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "zero"], ["weights"]),
        helper.make_node(
            "Conv", ["values" if is_rounded else "picture", "weights"], ["out"],
            kernel_shape=[3, 3], dilations=[dilation] * 2, pads=[dilation, dilation, dilation, dilation],
        ),
    ]  # fmt: skip
    shape = [1, 2, None, None]
    graph = helper.make_graph(
        nodes, "rounded",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def by_onnxruntime(model: onnx.ModelProto, picture: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"picture": picture})[0], np.float32)


def by_openvino(model: onnx.ModelProto, picture: NDArray[np.float32]) -> NDArray[np.float32]:
    import openvino

    compiled = openvino.compile_model(openvino.Core().read_model(model.SerializeToString()), "CPU")
    return np.asarray(compiled(picture)[0], np.float32)


@pytest.mark.parametrize("dilation", [3, 4, 7])
def test_wide_padding_goes_ahead_and_every_bit_stays(dilation: int) -> None:
    before, after = rounded_convolution(dilation), rounded_convolution(dilation)
    assert pad_ahead(after) == 1
    onnx.checker.check_model(after, full_check=True)
    kinds = [node.op_type for node in after.graph.node]
    assert kinds.index("Pad") < kinds.index("Conv") and kinds.count("QuantizeLinear") == 2
    assert pad_ahead(after) == 0
    picture = np.random.default_rng(1).normal(0, 3, (1, 2, 20, 31)).astype(np.float32)
    for run in (by_onnxruntime, by_openvino):
        wanted = run(before, picture)
        assert wanted.shape == picture.shape and wanted.std() > 1
        assert np.array_equal(run(after, picture), wanted)


@pytest.mark.parametrize(("dilation", "is_rounded"), [(1, True), (2, True), (4, False)])
def test_other_convolutions_stay_as_they_are(dilation: int, is_rounded: bool) -> None:
    model = rounded_convolution(dilation, is_rounded=is_rounded)
    before = model.SerializeToString()
    assert pad_ahead(model) == 0
    assert model.SerializeToString() == before
