"""A style's whole way from planes to planes as an ONNX graph whose types are its own: fp16 without a flag.

TensorRT 11 builds every network as its graph is typed, and TensorRT 10.12 and later can: so precision is
written here, and nowhere else. The generator's convolutions take and give fp16; its statistics, colour,
resizing and the guided filter are fp32, with casts between; pictures come in and go out as uint8.

Needs the packages torch, onnx and onnxscript.
"""

from __future__ import annotations

import onnx
import torch

from engines.backends.base import PlanesTask
from engines.backends.torch import load_network
from engines.errors import EngineError
from engines.export import OPSET, drop_notes, quiet_exporter
from engines.generators.fold import fold_last
from engines.planes import PlanesNetwork, to_half
from engines.style import Style

INPUTS = ("y", "u", "v", "strength")
OUTPUTS = ("cartoon_y", "cartoon_u", "cartoon_v")
WIDE = frozenset(
    "Div GroupNormalization InstanceNormalization LayerNormalization Pow ReduceMean Reciprocal Sqrt".split()
)
"""Operators of statistics and divisions: none of them may be in fp16."""


def planes_network(style: Style, task: PlanesTask, *, half: bool) -> PlanesNetwork:
    """A style's network for one task, its generator in fp16 or fp32. Raises StyleError where it has none."""
    generator = load_network(style)
    fold_last(generator)
    return PlanesNetwork(to_half(generator) if half else generator, task).eval()


def export_planes(network: PlanesNetwork, batch: int) -> bytes:
    """The network as an ONNX file for `batch` pictures at a time: every size in it is fixed.

    Inputs `y`, `u`, `v` and `strength`, outputs `cartoon_y`, `cartoon_u` and `cartoon_v`, as
    `PlanesNetwork.forward` has them. Raises EngineError where a graph came out otherwise typed.
    """
    example = planes_example(network.task, batch)
    with quiet_exporter():
        program = torch.onnx.export(
            network,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    drop_notes(model)
    onnx.checker.check_model(model, full_check=True)
    _demand_types(model)
    data: bytes = model.SerializeToString()
    return data


def planes_example(task: PlanesTask, batch: int) -> tuple[torch.Tensor, ...]:
    """Grey pictures of the task's size, and strength 1."""
    luma = torch.full((batch, 1, task.height, task.width), 128, dtype=torch.uint8)
    chroma = torch.full((batch, 1, task.chroma_height, task.chroma_width), 128, dtype=torch.uint8)
    return luma, chroma, chroma.clone(), torch.ones(1)


def _demand_types(model: onnx.ModelProto) -> None:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    types |= {constant.name: constant.data_type for constant in inferred.initializer}
    wanted = dict.fromkeys((*INPUTS, *OUTPUTS), onnx.TensorProto.UINT8) | {"strength": onnx.TensorProto.FLOAT}
    ends = {value.name for value in (*inferred.input, *inferred.output)}
    if ends != set(wanted) or any(types[name] != wanted[name] for name in wanted):
        raise EngineError(f"the graph from planes to planes came out with other ends: {sorted(ends)}")
    for node in inferred.node:
        if node.op_type in WIDE and any(types.get(name) == onnx.TensorProto.FLOAT16 for name in node.input):
            raise EngineError(f"the graph from planes to planes computes {node.op_type} in fp16")
