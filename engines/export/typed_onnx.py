"""Exporting a style's graph for a task as strongly typed ONNX: fp16 without a builder flag.

TensorRT 11 takes all types from the graph, and TensorRT 10.12 and later can. Precision is therefore part of
the graph only. The generator's convolutions are fp16. Statistics, colour, resizing and the guided filter are
fp32, with casts in between. Planes, blocks and fields are uint8.

Needs the packages torch, onnx and onnxscript.
"""

from __future__ import annotations

import onnx
import torch

from engines.errors import EngineError
from engines.export.fields_graph import FieldsNetwork
from engines.export.frame_graph import FrameNetwork, network_for, to_half
from engines.export.onnx_graph import OPSET, quiet_exporter, strip_metadata
from engines.export.tasks import Task
from engines.generators.pixel_shuffle_head import use_pixel_shuffle_head
from engines.registry.network import load_network
from engines.registry.style import Style

FP32_OPERATORS = frozenset(
    "Div GroupNormalization InstanceNormalization LayerNormalization Pow ReduceMean Reciprocal Sqrt".split()
)
"""Operators of statistics and divisions, which must not be in fp16."""


Network = FrameNetwork | FieldsNetwork


def task_network(style: Style, task: Task, *, half: bool) -> Network:
    """Return a style's network for one task, with the generator in fp16 or fp32.

    Raises StyleError if the style has no weights.
    """
    generator = load_network(style)
    use_pixel_shuffle_head(generator)
    return network_for(to_half(generator) if half else generator, task).eval()


def export_task(network: Network, batch: int) -> bytes:
    """Return the network as a serialised ONNX model for `batch` frames, with fixed sizes.

    Inputs and outputs have the task's names, in its order; the numbers come last. Raises EngineError if the
    types in the graph are not the expected ones.
    """
    task = network.task
    with quiet_exporter():
        program = torch.onnx.export(
            network,
            example_inputs(task, batch),
            dynamo=True,
            opset_version=OPSET,
            input_names=[*task.takes, *task.numbers],
            output_names=[*task.gives],
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    strip_metadata(model)
    onnx.checker.check_model(model, full_check=True)
    _check_types(model, task)
    data: bytes = model.SerializeToString()
    return data


def example_inputs(task: Task, batch: int) -> tuple[torch.Tensor, ...]:
    """Return grey frames as the task's inputs, and 1 for every number."""
    pictures = (torch.full((batch, *shape), 128, dtype=torch.uint8) for shape in task.takes.values())
    return (*pictures, *(torch.ones(1) for _ in task.numbers))


def _check_types(model: onnx.ModelProto, task: Task) -> None:
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*inferred.input, *inferred.value_info, *inferred.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    types |= {constant.name: constant.data_type for constant in inferred.initializer}
    wanted = dict.fromkeys((*task.takes, *task.gives), onnx.TensorProto.UINT8)
    wanted |= dict.fromkeys(task.numbers, onnx.TensorProto.FLOAT)
    ends = {value.name for value in (*inferred.input, *inferred.output)}
    if ends != set(wanted) or any(types[name] != wanted[name] for name in wanted):
        raise EngineError(f"the exported graph has unexpected inputs or outputs: {sorted(ends)}")
    for node in inferred.node:
        if node.op_type in FP32_OPERATORS and any(
            types.get(name) == onnx.TensorProto.FLOAT16 for name in node.input
        ):
            raise EngineError(f"the exported graph computes {node.op_type} in fp16")
