"""Small ONNX graphs of known behaviour, written by hand with ONNX's own helpers."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engines.untrusted.onnx_operators import OPERATORS

KINDS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}
RANGES = {"-1..1": (-1.0, 1.0), "0..1": (0.0, 1.0), "0..255": (0.0, 255.0)}


class Graph:
    """Nodes one after another; `now` is the name of what the last one gave."""

    def __init__(self, kind: str, shape: list[int | str]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[TensorProto] = []
        self.now = "in"
        self.ends = [helper.make_tensor_value_info("in", KINDS[kind], shape)]

    def add(self, kind: str, *inputs: object, **attributes: Any) -> str:
        """A node on what is `now` and on constants (arrays) or names."""
        names = [self.now]
        for value in inputs:
            if isinstance(value, str):
                names.append(value)
                continue
            names.append(f"w{len(self.weights)}")
            self.weights.append(numpy_helper.from_array(np.asarray(value), names[-1]))
        self.now = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [self.now], self.now, **attributes))
        return self.now

    def model(self, kind: str, shape: list[int | str], opset: int = 17) -> onnx.ModelProto:
        """The whole, with what is `now` as its output."""
        out = helper.make_tensor_value_info(self.now, KINDS[kind], shape)
        graph = helper.make_graph(self.nodes, "g", self.ends, [out], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def cartoonizer(
    *,
    kind: str = "float32",
    last: bool = False,
    values: str = "-1..1",
    values_out: str = "",
    size: tuple[int, int] | None = None,
    multiple: int = 2,
    bgr: bool = False,
    kind_out: str = "",
) -> onnx.ModelProto:
    """A network that shrinks a picture by `multiple`, brings it back and makes it more contrasty.

    What it does is the same in RGB and [-1, 1] for every form of input and output, so any of them can be held
    to `drawn`.
    """
    rows, columns = size or ("rows", "columns")
    shape: list[int | str] = [1, rows, columns, 3] if last else [1, 3, rows, columns]
    graph = Graph(kind, shape)
    if kind != "float32":
        graph.add("Cast", to=TensorProto.FLOAT)
    if last:
        graph.add("Transpose", perm=[0, 3, 1, 2])
    low, high = RANGES[values]
    graph.add("Sub", np.float32((low + high) / 2))
    source = graph.add("Div", np.float32((high - low) / 2))
    if bgr:
        source = graph.add("Gather", np.array([2, 1, 0]), axis=1)
    if multiple > 1:
        identity = np.zeros((3, 3, multiple, multiple), np.float32)
        identity[range(3), range(3)] = 1 / multiple**2
        graph.add("Conv", identity, strides=[multiple, multiple], kernel_shape=[multiple, multiple])
        if size:
            sides = np.array([1, 3, size[0], size[1]], np.int64)
            graph.add("Resize", "", "", sides, mode="nearest")
        else:
            graph.add("Resize", "", np.array([1, 1, multiple, multiple], np.float32), mode="nearest")
        graph.add("Add", source)
        graph.add("Mul", np.float32(0.5))
    graph.add("Mul", np.array([1.2, 1.4, 1.0], np.float32).reshape(1, 3, 1, 1))
    graph.add("Tanh")
    if bgr:
        graph.add("Gather", np.array([2, 1, 0]), axis=1)
    low, high = RANGES[values_out or values]
    graph.add("Mul", np.float32((high - low) / 2))
    graph.add("Add", np.float32((low + high) / 2))
    if last:
        graph.add("Transpose", perm=[0, 2, 3, 1])
    kind_out = kind_out or kind
    if kind_out != "float32":
        graph.add("Cast", to=KINDS[kind_out])
    return graph.model(kind_out, shape)


def drawn(picture: np.ndarray, multiple: int = 2) -> np.ndarray:
    """What `cartoonizer` makes of height x width x 3 RGB in [-1, 1], by NumPy."""
    height, width, _ = picture.shape
    blocks = picture.reshape(height // multiple, multiple, width // multiple, multiple, 3).mean((1, 3))
    coarse = blocks.repeat(multiple, 0).repeat(multiple, 1)
    mixed = (coarse + picture) / 2 if multiple > 1 else picture
    return np.asarray(np.tanh(mixed * np.array([1.2, 1.4, 1.0])))


def save(model: onnx.ModelProto, file: Path) -> Path:
    """The model as a file."""
    onnx.save(model, file)
    return file


NUMBERS = (0, 1, -1, 2, 3, 7, 63, 64, 100, 4096, 16_384, -16_384, 65_536, 1 << 31, -(1 << 31), (1 << 63) - 1)
FACTORS = (0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"), 3.0, 1000.0, 0.3)


def altered_graph(data: bytes, seed: int) -> bytes:
    """The graph with one to three nodes, weights or ends altered, as somebody might who knows the format."""
    dice, model = random.Random(seed), onnx.load_from_string(data)
    for at in range(dice.choice((1, 1, 2, 3))):
        graph = model.graph
        node, tensor = dice.choice(graph.node), dice.choice(graph.initializer)
        kind = dice.randrange(7)
        if kind == 0:
            node.op_type = dice.choice(sorted(OPERATORS))
        elif kind == 1:
            _alter_attribute(node, dice)
        elif kind == 2:
            _alter_weight(tensor, dice)
        elif kind == 3 and node.input:
            names = [name for other in graph.node for name in other.output]
            node.input[dice.randrange(len(node.input))] = dice.choice([*names, "", tensor.name, "picture"])
        elif kind == 4 and node.input:
            del node.input[-1]
        elif kind == 5:
            model.opset_import[0].version = dice.choice((1, 7, 9, 11, 13, 18, 21, 25, 1000))
        else:
            _insert(graph, node, f"new{at}", dice)
    return bytes(model.SerializeToString())


def _alter_attribute(node: onnx.NodeProto, dice: random.Random) -> None:
    if node.attribute and dice.random() < 0.6:
        attribute = dice.choice(node.attribute)
        if attribute.ints:
            attribute.ints[dice.randrange(len(attribute.ints))] = dice.choice(NUMBERS)
        else:
            attribute.i = dice.choice(NUMBERS)
        return
    name = dice.choice(("axis", "group", "blocksize", "to", "mode", "auto_pad", "pads", "strides", "perm"))
    several = [dice.choice(NUMBERS)] * dice.randrange(1, 6)
    node.attribute.append(helper.make_attribute(name, dice.choice((several, several[0], "weird"))))


def _alter_weight(tensor: TensorProto, dice: random.Random) -> None:
    values = numpy_helper.to_array(tensor).copy().reshape(-1)
    if values.size:
        choices = FACTORS if values.dtype.kind == "f" else NUMBERS
        values[dice.randrange(values.size)] = dice.choice(choices)
    shape = [dice.choice((0, 1, 3, values.size))] if dice.random() < 0.2 else list(tensor.dims)
    tensor.CopyFrom(numpy_helper.from_array(np.resize(values, shape), tensor.name))


def _insert(graph: onnx.GraphProto, node: onnx.NodeProto, name: str, dice: random.Random) -> None:
    """A node of any kind between that one and all that follow."""
    nodes = list(graph.node)
    at, was = nodes.index(node) + 1, node.output[0]
    kind = dice.choice(sorted(OPERATORS))
    fewest, _ = OPERATORS[kind]
    weights = [tensor.name for tensor in graph.initializer]
    extra = [dice.choice([*weights, was]) for _ in range(max(0, fewest - 1))]
    for later in nodes[at:]:
        later.input[:] = [name if each == was else each for each in later.input]
    graph.node.insert(at, helper.make_node(kind, [was, *extra], [name], name))
