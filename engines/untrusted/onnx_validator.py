"""Checks of an untrusted ONNX graph on its bytes, before a runtime opens the file.

A generator is a plain graph of standard operators on tensors. Everything else that ONNX allows is rejected:
operators of other domains, loops and branches, functions, weights in other files, weights that claim more
than the file contains, and numbers that make a runtime divide by zero or allocate without limit. The memory
that a graph needs depends on the frame's size; `engines.backends.untrusted_graph` checks it.
"""

from __future__ import annotations

import math
import stat
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engines.errors import StyleError
from engines.untrusted.onnx_operators import (
    KEEP_RANK,
    MAX_OPSET,
    MIN_OPSET,
    check_arity,
    check_numbers,
    check_ranks,
)
from engines.untrusted.onnx_reader import MalformedError, Message, count, read_model, wholes

MAX_BYTES = 512 << 20
"""Bytes of a graph with its weights; the largest generator here has 88 MB."""
MAX_NODES = 5_000
"""The largest generator here has 200, published ones up to 1,000."""
MAX_VALUES = 256
"""Numbers in a list of a node; shapes and paddings have eight."""
MAX_MADE_VALUES = 1 << 24
"""Values that a node may be asked to create by a constant size."""
SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""TensorProto.DataType -> bytes per value; strings, complex and 8-bit floats are left out."""
FLOATS = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}
_TENSOR, _EXTERNAL = 4, 1
_PLAIN_ATTRIBUTES = {1: "f", 2: "i", 3: "s", _TENSOR: "t", 6: "floats", 7: "ints", 8: "strings"}
_TYPED = {1: "float_data", 7: "int64_data", 12: "uint64_data", 13: "uint64_data"}
_MAKES = ("ConstantOfShape", "Expand", "Tile")


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output of a graph."""

    name: str
    kind: int
    """TensorProto.DataType."""
    shape: tuple[int | str, ...] | None
    """Numbers where sizes are fixed, names elsewhere; None where no shape is declared."""


@dataclass(frozen=True, slots=True)
class External:
    """Weights in another file."""

    location: str
    offset: int
    length: int


@dataclass(slots=True)
class GraphFacts:
    """Facts about a graph. Every claim about weights was compared with the file."""

    inputs: list[Value]
    """Without inputs that only name a weight."""
    outputs: list[Value]
    nodes: int = 0
    parameters: int = 0
    """Floating-point weights."""
    opset: int = 0
    external: list[External] = field(default_factory=list)
    half_open: str = ""
    """Name of the output of a Clip node with only one bound; empty where there is none."""


def check_graph(file: Path, channels: tuple[int, int] = (3, 3)) -> GraphFacts:
    """Check a style's own graph: one input N x channels x H x W of float32, one such output, all weights
    inside.

    Raises StyleError, one sentence that names the file.
    """
    facts = read_graph(file)
    if facts.external:
        raise StyleError(f"{file} stores weights in another file; a style must contain all its weights")
    if facts.half_open:  # OpenVINO reads past the end of it where shapes are unknown
        raise StyleError(f"{file}: the Clip node of {facts.half_open[:80]!r} has only one bound; set both")
    sides = (("take", facts.inputs, channels[0]), ("give", facts.outputs, channels[1]))
    for side, values, wanted in sides:
        one = len(values) == 1 and values[0].kind == 1
        shape = values[0].shape if one else None
        if shape is None or len(shape) != 4 or shape[1] != wanted:
            raise StyleError(
                f"{file} is not a style's graph: it must {side} one image, N x {wanted} x H x W of float32"
            )
    return facts


def read_graph(file: Path) -> GraphFacts:
    """Check any generator's graph and return its facts. Weights may be in other files, which are not opened.

    Raises StyleError, one sentence that names the file, for anything that no generator needs.
    """
    try:
        facts = file.lstat()
        if not stat.S_ISREG(facts.st_mode):
            raise StyleError(f"{file} is a link or a special file; replace it by a regular file")
        if not 0 < facts.st_size <= MAX_BYTES:
            raise StyleError(f"{file} has {facts.st_size:,} bytes; allowed are 1 to {MAX_BYTES:,}")
        data = file.read_bytes()
    except FileNotFoundError:
        raise StyleError(f"style {file.parent} is incomplete: it has no {file.name}") from None
    except OSError as error:
        raise StyleError(f"{file} cannot be read: {error.strerror or error}") from error
    try:
        return _Check().model(read_model(memoryview(data)))
    except MalformedError as error:
        raise StyleError(f"{file} {error}") from None


class _Check:
    def __init__(self) -> None:
        self._small: dict[str, list[int]] = {}
        """Weights that may be sizes."""
        self._ranks: dict[str, int] = {}
        """Number of dimensions of each weight."""
        self._external: list[External] = []
        self._half_open = ""

    def model(self, model: Message) -> GraphFacts:
        opsets = {opset.text("domain"): opset.whole("version") for opset in model.many("opset_import")}
        opset = opsets.get("", opsets.get("ai.onnx", 0))
        if not opset or not model.has("graph"):
            raise MalformedError("is not an ONNX file")
        if not MIN_OPSET <= opset <= MAX_OPSET:
            raise MalformedError(
                f"uses ONNX operator set {opset}; export it again with a set from {MIN_OPSET} to {MAX_OPSET}"
            )
        graph = model.one("graph")
        nodes, initializers = graph.many("node"), graph.many("initializer")
        if not 0 < len(nodes) <= MAX_NODES:
            raise MalformedError(f"has {len(nodes):,} nodes; allowed are 1 to {MAX_NODES:,}")
        weights = {tensor.text("name") for tensor in initializers}
        if len(weights) != len(initializers) or "" in weights:
            raise MalformedError("is not a valid graph: two weights have the same name, or one has no name")
        parameters = sum(self.tensor(tensor) for tensor in initializers)
        self._ranks = {tensor.text("name"): len(wholes(tensor.many("dims"), 8)) for tensor in initializers}
        inputs = [_value(value) for value in graph.many("input")]
        known = weights | {value.name for value in inputs}
        for node in nodes:
            parameters += self.node(node, known)
        outputs = [_value(value) for value in graph.many("output")]
        if lost := [value.name for value in outputs if value.name not in known]:
            raise MalformedError(f"is not a valid graph: no node computes its output {lost[0][:80]!r}")
        inputs = [value for value in inputs if value.name not in weights]
        return GraphFacts(inputs, outputs, len(nodes), parameters, opset, self._external, self._half_open)

    def node(self, node: Message, known: set[str]) -> int:
        """Check one node, add its outputs to `known`, and return the number of weights inside it."""
        kind, inputs, outputs = node.text("op_type"), node.many("input"), node.many("output")
        check_arity(kind, node.text("domain"), inputs, outputs)
        check_ranks(kind, inputs, self._ranks)
        if kind in KEEP_RANK and inputs[0] in self._ranks:
            self._ranks[outputs[0]] = self._ranks[inputs[0]]
        for name in inputs:
            if name and name not in known:
                raise MalformedError(f"is not a valid graph: {name[:80]!r} is used before it is computed")
        for name in outputs:
            if name in known:
                raise MalformedError(f"is not a valid graph: {name[:80]!r} is computed twice")
            if name:
                known.add(name)
        weights = 0
        for attribute in node.many("attribute"):
            weights += self.attribute(attribute, outputs[0] if kind == "Constant" and outputs else "")
        if kind == "Clip" and len(inputs) > 1 and not all([*inputs, *[""] * (3 - len(inputs))]):
            self._half_open = outputs[0]
        if kind in _MAKES:
            self._made(kind, inputs)
        return weights

    def attribute(self, attribute: Message, constant: str) -> int:
        kind, name = attribute.whole("type"), attribute.text("name")
        if kind not in _PLAIN_ATTRIBUTES:
            raise MalformedError(f"is not a valid graph: the attribute {name[:80]!r} has an unknown type")
        numbers = wholes(attribute.many("ints"), MAX_VALUES)
        check_numbers(name, [*numbers, *([attribute.whole("i")] if attribute.has("i") else [])])
        if constant and name in ("value_int", "value_ints"):
            self._small[constant] = [*numbers, *([attribute.whole("i")] if attribute.has("i") else [])]
        if not attribute.has("t"):
            return 0
        tensor = attribute.one("t")
        weights = self.tensor(tensor)
        if constant:
            self._ranks[constant] = len(wholes(tensor.many("dims"), 8))
        if constant and tensor.text("name") in self._small:
            self._small[constant] = self._small[tensor.text("name")]
        return weights

    def tensor(self, tensor: Message) -> int:
        """Compare a weight's claims with its bytes and return its number of floating-point values."""
        dims, kind = wholes(tensor.many("dims"), 8), tensor.whole("data_type")
        if kind not in SIZES or any(not 0 <= size <= MAX_BYTES for size in dims):
            raise MalformedError("is not a valid graph: a weight has an unknown type or an impossible size")
        values = math.prod(dims)
        place = tensor.whole("data_location")
        if place not in (0, _EXTERNAL) or (place != _EXTERNAL and tensor.many("external_data")):
            raise MalformedError("is not a valid graph: the location of a weight is ambiguous")
        if place == _EXTERNAL:
            self._external.append(_external(tensor, values * SIZES[kind]))
        elif values != _present(tensor, kind):
            name = tensor.text("name")[:80]
            raise MalformedError(
                f"is corrupt: the weight {name!r} declares {values:,} values but has another number"
            )
        else:
            self._remember(tensor, kind, values)
        return values if kind in FLOATS else 0

    def _remember(self, tensor: Message, kind: int, values: int) -> None:
        if kind != 7 or values > 16:
            return
        numbers = wholes(tensor.many("int64_data"), 16)
        if tensor.has("raw_data"):
            numbers = list(struct.unpack(f"<{values}q", tensor.values["raw_data"]))
        self._small[tensor.text("name")] = numbers

    def _made(self, kind: str, inputs: Iterable[str]) -> None:
        for name in inputs:
            product = math.prod(max(1, abs(size)) for size in self._small.get(name, []))
            if product > MAX_MADE_VALUES:
                raise MalformedError(
                    f"makes {kind} create {product:,} values; allowed are {MAX_MADE_VALUES:,}"
                )


def _present(tensor: Message, kind: int) -> int:
    """Count the values that a weight really has; -1 where the bytes are no whole number of values."""
    size = SIZES[kind]
    if tensor.has("raw_data"):
        length = len(tensor.values["raw_data"])
        return -1 if length % size else length // size
    if kind == 11:
        return sum(len(item) for item in tensor.many("double_data")) // 8
    return count(tensor.many(_TYPED.get(kind, "int32_data")), 4 if kind == 1 else 0)


def _external(tensor: Message, size: int) -> External:
    entries = {entry.text("key"): entry.text("value") for entry in tensor.many("external_data")}
    numbers = [entries.get("offset", "0"), entries.get("length", str(size))]
    if not all(number.isascii() and number.isdigit() and len(number) < 16 for number in numbers):
        raise MalformedError("is not a valid graph: a weight in another file has no valid offset or length")
    offset, length = map(int, numbers)
    if length != size:
        raise MalformedError("is corrupt: a weight in another file does not have the size that it declares")
    return External(entries.get("location", ""), offset, length)


def _value(value: Message) -> Value:
    tensor: Message = value.one("type").one("tensor_type")
    shape: tuple[int | str, ...] | None = None
    if tensor.has("shape"):
        dims: list[Any] = tensor.one("shape").many("dim")
        shape = tuple(dim.whole("dim_value") or dim.text("dim_param") for dim in dims)
    if shape is not None and (len(shape) > 8 or any(isinstance(dim, int) and dim < 0 for dim in shape)):
        raise MalformedError(
            "is not a valid graph: an input or output has a negative size or too many dimensions"
        )
    return Value(value.text("name"), tensor.whole("elem_type"), shape)
