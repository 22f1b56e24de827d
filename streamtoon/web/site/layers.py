"""The layers of a network of fields, read from its graph, in the order in which the page computes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.errors import StyleError
from engines.untrusted.onnx_reader import Message, read_model, wholes

KERNELS = (1, 3)
"""Taps a side of the convolutions that the shaders know."""
COARSEST = 2
"""Largest side of a position, in blocks of 4 x 4 pixels."""
MOST_NUMBERS = 8
"""Numbers of an attribute: four sides of padding are the most."""


@dataclass(slots=True)
class Layer:
    """One convolution. It reads what the layer before it gives; the first one reads the picture's samples."""

    name: str
    """Of its weights and biases in the style, without their endings."""
    kernel: int
    """Taps a side."""
    dilation: int
    size: int
    """Side of a position that it computes, in blocks. Where it is twice that of the layer before, the
    convolution has stride 2; where it is half of it, every position of the layer before is read four times.
    """
    added: str = ""
    """Name of the layer whose output is added to this one's; empty for none."""
    relu: bool = False
    """Whether a ReLU follows, after the sum."""


def read_layers(graph: Path) -> list[Layer]:
    """Return the layers of a graph that `engines.untrusted.onnx_validator` has checked.

    Raises StyleError for a graph that is not a chain of the convolutions that the shaders compute.
    """
    return _Reading(graph).layers


class _Reading:
    """Puts what follows a convolution (ReLU, sum, repetition) into its layer."""

    def __init__(self, file: Path) -> None:
        self._file = file
        graph = read_model(memoryview(file.read_bytes())).one("graph")
        self._scales = {one.text("name"): one for one in graph.many("initializer")}
        self.layers: list[Layer] = []
        self._given = graph.many("input")[0].text("name")
        self._outputs: dict[str, Layer] = {}
        """Value -> the layer that gives it. What a later node changes is no longer here."""
        for node in graph.many("node"):
            self._read(node)
        self._expect(self._given == graph.many("output")[0].text("name"), "gives something else than its end")

    def _read(self, node: Message) -> None:
        kind, inputs = node.text("op_type"), node.many("input")
        self._expect(self._given in inputs, f"has a {kind} apart from its chain of layers")
        if kind == "Conv":
            layer = self._convolution(node)
            self.layers.append(layer)
        else:
            self._expect(bool(self.layers) and not self.layers[-1].relu, f"begins a layer with a {kind}")
            layer = self.layers[-1]
            del self._outputs[self._given]
            if kind == "Relu":
                layer.relu = True
            elif kind == "Add":
                other = inputs[1] if inputs[0] == self._given else inputs[0]
                self._add(layer, other)
            elif kind == "Resize":
                self._repeat(layer, node)
            else:
                self._expect(False, f"has a {kind}")
        self._given = node.many("output")[0]
        self._outputs[self._given] = layer

    def _convolution(self, node: Message) -> Layer:
        values, weights, bias = node.many("input")
        self._expect(values == self._given, "does not read its layers in turn")
        name = weights.removesuffix(".weight")
        self._expect((weights, bias) == (f"{name}.weight", f"{name}.bias"), f"names {weights} and {bias}")
        facts = {one.text("name"): one for one in node.many("attribute")}

        def numbers(name: str, default: list[int]) -> list[int]:
            return wholes(facts[name].many("ints"), MOST_NUMBERS) if name in facts else default

        kernel, stride, dilation = (numbers(key, [1, 1]) for key in ("kernel_shape", "strides", "dilations"))
        reach = dilation[0] * (kernel[0] // 2)
        size = (self.layers[-1].size if self.layers else 1) * stride[0]
        self._expect(
            all(one == [one[0]] * 2 for one in (kernel, stride, dilation))
            and kernel[0] in KERNELS
            and size <= COARSEST
            and numbers("pads", [0] * 4) == [reach] * 4
            and ("group" not in facts or facts["group"].whole("i") == 1),
            f"has at {name} a convolution of another kind",
        )
        return Layer(name, kernel[0], dilation[0], size)

    def _add(self, layer: Layer, other: str) -> None:
        self._expect(other in self._outputs and not layer.added, f"adds {other} to {layer.name}")
        base = self._outputs[other]
        self._expect(base.size == layer.size, f"adds {base.name} to {layer.name}, which has another size")
        layer.added = base.name

    def _repeat(self, layer: Layer, node: Message) -> None:
        texts = {one.text("name"): bytes(one.values.get("s", b"")) for one in node.many("attribute")}
        form = tuple(texts.get(key) for key in ("mode", "coordinate_transformation_mode", "nearest_mode"))
        scales = self._scales[node.many("input")[2]]
        numbers = np.frombuffer(bytes(scales.values.get("raw_data", b"")), "<f4").tolist()
        self._expect(
            form == (b"nearest", b"asymmetric", b"floor")
            and numbers == [1, 1, 2, 2]
            and (layer.kernel, layer.added, layer.size) == (1, "", COARSEST),
            f"enlarges {layer.name} in a way of its own",
        )
        layer.size //= 2  # positions are repeated before a 1 x 1 convolution, which is the same as after it

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            raise StyleError(f"{self._file} {what}, which the page does not compute")
