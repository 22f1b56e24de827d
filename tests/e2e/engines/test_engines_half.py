"""The exported graph: typed as it says, near to single precision, finite whatever comes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from paths import ROOT

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import onnxruntime  # noqa: E402
import torch  # noqa: E402
from planes_pictures import drawn, extremes, photographs, picture, psnr, task_for  # noqa: E402
from rgb_styles import rgb_style  # noqa: E402

from engines.errors import EngineError  # noqa: E402
from engines.export.frame_graph import FrameNetwork  # noqa: E402
from engines.export.typed_onnx import export_task, task_network  # noqa: E402
from engines.frame import Planes  # noqa: E402

HEIGHT, WIDTH, BATCH = 98, 131, 2
"""Odd, no multiple of four: chroma, padding and cropping are all in the graph."""
FP16, FP32, UINT8 = (onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8)
INPUTS, OUTPUTS = ("y", "u", "v", "strength"), ("cartoon_y", "cartoon_u", "cartoon_v")
STYLES = ["unet", "lwcomicgan"]
"""By their generators: one that takes no statistics of a picture, one that does."""


@cache
def single(style: str) -> FrameNetwork:
    """At three quarters of the size: resizing is in it too."""
    read = rgb_style(style)
    network = task_network(read, task_for(read, HEIGHT, WIDTH, 0.75), half=False)
    assert isinstance(network, FrameNetwork)
    return network


@cache
def graph(style: str) -> bytes:
    """The fp16 file."""
    return export_task(task_network(rgb_style(style), single(style).task, half=True), BATCH)


def session(data: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def feed(*pictures: Planes, strength: float = 1.0) -> dict[str, NDArray[np.generic]]:
    planes = {name: np.stack([p[n] for p in pictures]) for n, name in enumerate("yuv")}
    return {**planes, "strength": np.full(1, strength, np.float32)}


@pytest.mark.parametrize("style", STYLES)
def test_the_file_draws_photographs_like_single_precision(style: str) -> None:
    runner = session(graph(style))
    photos = [picture(photo) for photo in photographs(HEIGHT, WIDTH).values()]
    planes = [(photo.y, photo.u, photo.v) for photo in photos]
    for at in range(0, len(planes) - 1, BATCH):
        pair = planes[at : at + BATCH]
        strength = 1.0 if at else 0.5
        got = runner.run(list(OUTPUTS), feed(*pair, strength=strength))
        wanted = drawn(single(style), *pair, strength=strength)
        assert [plane.dtype for plane in got] == [np.uint8] * 3
        assert [plane.shape for plane in got] == [plane.shape for plane in wanted]
        assert psnr(got, wanted) >= 45


@pytest.mark.parametrize("style", STYLES)
def test_no_value_in_it_is_infinite_or_none(style: str) -> None:
    """ONNX Runtime computes fp16 convolutions in fp32: what overflows is seen where fp16 is handed on."""
    model = onnx.load_from_string(graph(style))
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    halves = [v for v in inferred.graph.value_info if v.type.tensor_type.elem_type == FP16]
    assert len(halves) > 30
    model.graph.output.extend(halves)
    runner = session(model.SerializeToString())
    several = list(extremes(HEIGHT, WIDTH).values())
    for at in range(0, len(several), BATCH):
        for name, values in zip(
            [output.name for output in model.graph.output],
            runner.run(None, feed(*several[at : at + BATCH])),
            strict=True,
        ):
            assert np.isfinite(values).all(), name


@pytest.mark.parametrize("style", STYLES)
def test_it_is_typed_as_it_says(style: str) -> None:
    model = onnx.load_from_string(graph(style))
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    values = {v.name: v.type.tensor_type for v in (*inferred.input, *inferred.value_info, *inferred.output)}
    types = {name: value.elem_type for name, value in values.items()}
    types |= {constant.name: constant.data_type for constant in inferred.initializer}
    assert tuple(v.name for v in inferred.input) == INPUTS
    assert tuple(v.name for v in inferred.output) == OUTPUTS
    assert [types[name] for name in INPUTS] == [UINT8, UINT8, UINT8, FP32]
    assert [types[name] for name in OUTPUTS] == [UINT8] * 3
    for value in values.values():
        assert all(dim.WhichOneof("value") == "dim_value" for dim in value.shape.dim)
    counted = {"Conv": 0, "InstanceNormalization": 0, "AveragePool": 0}
    for node in inferred.node:
        for kind, wanted in (("Conv", FP16), ("InstanceNormalization", FP32), ("AveragePool", FP32)):
            if node.op_type == kind:
                counted[kind] += 1
                assert {types[name] for name in node.input} == {wanted}, node.name
        # TensorRT has uint8 at a network's ends only, and only to be cast.
        if node.op_type != "Cast":
            assert UINT8 not in {types.get(name) for name in (*node.input, *node.output)}
    assert counted["Conv"] >= 16
    assert counted["AveragePool"] >= 4
    assert bool(counted["InstanceNormalization"]) == (style == "lwcomicgan")


def test_the_file_tells_nothing_of_this_machine() -> None:
    data = graph("unet")
    for word in (str(ROOT), "site-packages", ".py", "stack_trace"):
        assert word.encode() not in data


def test_one_style_and_task_give_one_file() -> None:
    """A cache of built engines is keyed by it."""
    again = export_task(task_network(rgb_style(), single("unet").task, half=True), BATCH)
    assert again == graph("unet")


def test_statistics_in_half_precision_are_refused() -> None:
    class Careless(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 3, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            drawn = self.conv(x)
            return drawn / (drawn.abs().mean((2, 3), keepdim=True) + 1)

    style = rgb_style()
    network = FrameNetwork(Careless().half().eval(), task_for(style, 16, 16))
    with pytest.raises(EngineError, match="in fp16"):
        export_task(network, 1)
