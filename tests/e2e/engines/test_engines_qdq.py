"""Convolutions in int8 and fp8: pairs that stand in the graph, run by ONNX Runtime, held to fp16."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import numpy_helper  # noqa: E402
from rgb_styles import rgb_style  # noqa: E402

from engines.backends.tensorrt.engine_spec import spec_for  # noqa: E402
from engines.errors import EngineError  # noqa: E402
from engines.export.calibration_images import calibration_images, to_samples  # noqa: E402
from engines.export.parity import psnr  # noqa: E402
from engines.export.typed_onnx import export_task, task_network  # noqa: E402
from engines.frame import Planes  # noqa: E402
from engines.quantization.qdq import CLIPPED_SHARE, Kind, measure_ranges, quantize  # noqa: E402

Feed = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def graph() -> bytes:
    wanted = spec_for(rgb_style(), 160, 90, live=True)
    return export_task(task_network(wanted.style, wanted.task, half=True), 1)


@pytest.fixture(scope="module")
def feeds() -> list[Feed]:
    task = spec_for(rgb_style(), 160, 90).task
    strength = {"strength": np.ones(1, np.float32)}
    shown = [to_samples(image, task) for image in calibration_images()]
    return [
        {name: p[None] for name, p in zip(task.takes, planes, strict=True)} | strength for planes in shown
    ]


@pytest.fixture(scope="module")
def ranges(graph: bytes, feeds: list[Feed]) -> dict[str, float]:
    return measure_ranges(graph, feeds[1::2])


def _draw(graph: bytes, feed: Feed) -> Planes:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    y, u, v = (plane[0] for plane in session.run(None, feed))
    return y, u, v


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_quantized_drawings_are_near_those_in_fp16(
    graph: bytes, feeds: list[Feed], ranges: dict[str, float], kind: Kind
) -> None:
    quantized = quantize(graph, kind, ranges)
    for feed in feeds[::2]:  # none of which calibrated
        assert psnr(_draw(quantized, feed), _draw(graph, feed)) >= 35
    assert len(quantized) < 0.75 * len(graph)


def test_ranges_are_those_of_the_convolutions_inputs(graph: bytes, feeds: list[Feed]) -> None:
    ranges = measure_ranges(graph, feeds[:1])
    model = onnx.load_from_string(graph)
    own = {each.name for each in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in own]
    assert set(ranges) == {node.input[1] for node in convolutions}
    middle = convolutions[len(convolutions) // 2]
    model.graph.output.append(onnx.ValueInfoProto(name=middle.input[0]))
    values = np.abs(
        np.asarray(
            onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
                [middle.input[0]], feeds[0]
            )[0],
            np.float64,
        )
    )
    assert ranges[middle.input[1]] <= values.max()
    assert (values > ranges[middle.input[1]]).mean() <= CLIPPED_SHARE


@pytest.mark.parametrize("kind, steps", [("int8", 127), ("fp8", 448)])
def test_weights_are_within_half_a_step_and_pairs_are_symmetric(
    graph: bytes, ranges: dict[str, float], kind: Kind, steps: int
) -> None:
    before = {
        each.name: numpy_helper.to_array(each) for each in onnx.load_from_string(graph).graph.initializer
    }
    model = onnx.load_from_string(quantize(graph, kind, ranges))
    kept = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type == "DequantizeLinear"]
    weights = [node for node in pairs if node.input[0] in kept]
    # TensorRT has no kernels in fp8 for few channels and for large windows.
    inner = list(ranges)[1:-1]
    small = [name for name in inner if before[name].shape[1] < 16 or before[name][0, 0].size > 32]
    left = [next(iter(ranges)), *small] if kind == "fp8" else []
    assert len(weights) == len(ranges) - 1 - len(left), "all but the last"
    for node in pairs:
        assert kept[node.input[1]].shape == kept[node.input[2]].shape, "as ONNX wants it"
        assert not np.any(kept[node.input[2]].astype(np.float32)), "TensorRT knows no other zero"
    for node in weights:
        name = node.input[0].removesuffix(f"_{kind}")
        values = before[name].astype(np.float64)
        scale = kept[node.input[1]].astype(np.float64)
        assert kept[node.input[1]].dtype == before[name].dtype == np.float16
        whole = scale.reshape(-1, 1, 1, 1) if kind == "int8" else scale
        narrow = kept[node.input[0]].astype(np.float64)
        error = np.abs(narrow * whole - values)
        # int8: half a step, and what a scale rounded to fp16 clips; E4M3: 3 bits after the leading one.
        allowed = (
            0.51 * whole + steps * whole * 2**-11 if kind == "int8" else np.abs(values) / 15 + whole * 2**-9
        )
        assert (error <= allowed).all()
        if kind == "int8":
            assert [attribute.i for attribute in node.attribute if attribute.name == "axis"] == [0]


def test_what_cannot_be_quantized_is_one_sentence(graph: bytes, ranges: dict[str, float]) -> None:
    with pytest.raises(EngineError, match="was not measured"):
        quantize(graph, "int8", dict(list(ranges.items())[1:]))
    with pytest.raises(EngineError, match="nothing to quantize"):
        measure_ranges(graph, [])
