"""Adding the nodes to an untrusted graph that make it a style's graph.

Needs the package onnx.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.importing.io_convention import IoConvention, ValueRange


def wrap(model: onnx.ModelProto, form: IoConvention) -> bytes:
    """Return the graph from `picture` to `cartoon`, 1 x 3 x height x width RGB in [-1, 1]."""
    graph = model.graph
    _rename(graph)
    weights = {tensor.name for tensor in graph.initializer}
    (foreign,) = (value for value in graph.input if value.name not in weights)
    chain = _Chain("picture")
    if form.bgr_in:
        chain.reverse()
    chain.scale(ValueRange(-1, 1), form.values_in)
    if form.kind_in != "float32":
        if form.kind_in == "uint8":
            chain.add("Round")
            chain.clip(0, 255)
        chain.add("Cast", to=helper.np_dtype_to_tensor_dtype(np.dtype(form.kind_in)))
    if form.last_in:
        chain.add("Transpose", perm=[0, 2, 3, 1])
    before = chain.end(foreign.name)
    chain = _Chain(graph.output[0].name, "after")
    if form.last_out:
        chain.add("Transpose", perm=[0, 3, 1, 2])
    if graph.output[0].type.tensor_type.elem_type != TensorProto.FLOAT:
        chain.add("Cast", to=TensorProto.FLOAT)
    chain.scale(form.values_out, ValueRange(-1, 1))
    chain.clip(-1, 1)
    if form.bgr_out:
        chain.reverse()
    after = chain.end("cartoon")
    nodes = [*before.nodes, *graph.node, *after.nodes]
    used = {name for node in graph.node for name in node.input}
    shape: list[str | int | None] = [1, 3, "height", "width"]
    wrapped = helper.make_graph(
        nodes,
        "style",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("cartoon", TensorProto.FLOAT, shape)],
        [
            *(tensor for tensor in graph.initializer if tensor.name in used),
            *before.constants,
            *after.constants,
        ],
    )
    standard = [opset for opset in model.opset_import if opset.domain in ("", "ai.onnx")][:1]
    whole = helper.make_model(wrapped, opset_imports=standard, ir_version=max(8, min(model.ir_version, 10)))
    onnx.checker.check_model(whole)
    data: bytes = whole.SerializeToString()
    return data


def _rename(graph: onnx.GraphProto) -> None:
    """Add a prefix to every name, so that new names cannot collide with them."""
    for node in graph.node:
        node.name = f"net/{node.name}" if node.name else ""
        node.input[:] = [f"net/{name}" if name else "" for name in node.input]
        node.output[:] = [f"net/{name}" if name else "" for name in node.output]
    for value in (*graph.initializer, *graph.input, *graph.output):
        value.name = f"net/{value.name}"


class _Chain:
    """A sequence of nodes, each of which consumes the output of the previous one."""

    def __init__(self, begin: str, word: str = "before") -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[TensorProto] = []
        self._now, self._word = begin, word

    def add(self, kind: str, *inputs: str, **attributes: Any) -> None:
        name = f"{self._word}/{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [self._now, *inputs], [name], name, **attributes))
        self._now = name

    def constant(self, value: object) -> str:
        name = f"{self._word}/c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(value), name))
        return name

    def scale(self, old: ValueRange, new: ValueRange) -> None:
        if old == new:
            return
        factor = (new.white - new.black) / (old.white - old.black)
        self.add("Mul", self.constant(np.float32(factor)))
        self.add("Add", self.constant(np.float32(new.black - old.black * factor)))

    def clip(self, low: float, high: float) -> None:
        self.add("Clip", self.constant(np.float32(low)), self.constant(np.float32(high)))

    def reverse(self) -> None:
        self.add("Gather", self.constant(np.array([2, 1, 0], np.int64)), axis=1)

    def end(self, name: str) -> _Chain:
        """Name the last result and return the sequence."""
        self.add("Identity")
        self.nodes[-1].output[0] = name
        return self
