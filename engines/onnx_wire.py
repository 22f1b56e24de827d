"""ONNX files read without a runtime: the protobuf messages of a graph, within limits.

Nothing of the file is copied but names and small numbers, so a graph's weights cost nothing. What the format
allows and a generator does not need is refused where it stands: subgraphs, functions, sparse tensors,
sequences, unknown fields, fields given twice (of which two readers may make two different graphs).

Field numbers: onnx.proto of ONNX 1.23, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
Encoding: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

MOST_FIELDS = 500_000
"""Of a whole file: about a second's work. The largest generator here has some 20,000."""
LONGEST_NAME = 2_000
"""Bytes."""

Kind = Literal["whole", "text", "bytes", "float", "wholes", "floats"]


class MalformedError(Exception):
    """What is wrong with the file, as the end of a sentence that begins with its name."""


@dataclass(slots=True)
class Message:
    """One message: what is repeated as lists, the rest as values; what is missing is not there."""

    values: dict[str, Any] = field(default_factory=dict)

    def whole(self, name: str) -> int:
        """A whole number; 0 where it is missing, as protobuf has it."""
        value: int = self.values.get(name, 0)
        return value

    def text(self, name: str) -> str:
        """A text; empty where it is missing."""
        value: str = self.values.get(name, "")
        return value

    def one(self, name: str) -> Message:
        """A message; an empty one where it is missing."""
        value: Message = self.values.get(name, Message())
        return value

    def many(self, name: str) -> list[Any]:
        """What is repeated."""
        value: list[Any] = self.values.get(name, [])
        return value

    def has(self, name: str) -> bool:
        """Whether the field is there."""
        return name in self.values


# Number: (name, kind or message, repeated).
_FORM: dict[str, dict[int, tuple[str, str, bool]]] = {
    "model": {
        1: ("ir_version", "whole", False),
        2: ("producer_name", "text", False),
        3: ("producer_version", "text", False),
        4: ("domain", "text", False),
        5: ("model_version", "whole", False),
        6: ("doc_string", "bytes", False),
        7: ("graph", "graph", False),
        8: ("opset_import", "opset", True),
        14: ("metadata_props", "bytes", True),
    },
    "opset": {1: ("domain", "text", False), 2: ("version", "whole", False)},
    "graph": {
        1: ("node", "node", True),
        2: ("name", "text", False),
        5: ("initializer", "tensor", True),
        10: ("doc_string", "bytes", False),
        11: ("input", "value", True),
        12: ("output", "value", True),
        13: ("value_info", "bytes", True),
        14: ("quantization_annotation", "bytes", True),
        16: ("metadata_props", "bytes", True),
    },
    "node": {
        1: ("input", "text", True),
        2: ("output", "text", True),
        3: ("name", "text", False),
        4: ("op_type", "text", False),
        5: ("attribute", "attribute", True),
        6: ("doc_string", "bytes", False),
        7: ("domain", "text", False),
        9: ("metadata_props", "bytes", True),
    },
    "attribute": {
        1: ("name", "text", False),
        2: ("f", "float", False),
        3: ("i", "whole", False),
        4: ("s", "bytes", False),
        5: ("t", "tensor", False),
        7: ("floats", "floats", True),
        8: ("ints", "wholes", True),
        9: ("strings", "bytes", True),
        13: ("doc_string", "bytes", False),
        20: ("type", "whole", False),
    },
    "tensor": {
        1: ("dims", "wholes", True),
        2: ("data_type", "whole", False),
        4: ("float_data", "floats", True),
        5: ("int32_data", "wholes", True),
        7: ("int64_data", "wholes", True),
        8: ("name", "text", False),
        9: ("raw_data", "bytes", False),
        10: ("double_data", "bytes", True),
        11: ("uint64_data", "wholes", True),
        12: ("doc_string", "bytes", False),
        13: ("external_data", "entry", True),
        14: ("data_location", "whole", False),
        16: ("metadata_props", "bytes", True),
    },
    "entry": {1: ("key", "text", False), 2: ("value", "text", False)},
    "value": {
        1: ("name", "text", False),
        2: ("type", "type", False),
        3: ("doc_string", "bytes", False),
        4: ("metadata_props", "bytes", True),
    },
    "type": {1: ("tensor_type", "tensor_type", False), 6: ("denotation", "text", False)},
    "tensor_type": {1: ("elem_type", "whole", False), 2: ("shape", "shape", False)},
    "shape": {1: ("dim", "dimension", True)},
    "dimension": {
        1: ("dim_value", "whole", False),
        2: ("dim_param", "text", False),
        3: ("denotation", "text", False),
    },
}
_NOT_FOR_US = {
    ("model", 20): "a training graph",
    ("model", 25): "functions of its own",
    ("graph", 15): "sparse weights",
    ("attribute", 6): "a graph within a node (a loop or a branch)",
    ("attribute", 11): "a graph within a node (a loop or a branch)",
    ("attribute", 21): "a function's attribute",
    ("attribute", 22): "sparse weights",
    ("attribute", 23): "sparse weights",
    ("tensor", 6): "texts for weights",
}
_WIRE = {"whole": 0, "float": 5}
"""The wire type of the kinds that are not given by their length."""


class _Reader:
    def __init__(self) -> None:
        self._left = MOST_FIELDS

    def message(self, name: str, data: memoryview) -> Message:
        form, found = _FORM[name], Message()
        values = found.values
        for number, wire, raw in self._fields(data):
            if number not in form:
                what = _NOT_FOR_US.get((name, number), f"a field that is not known here ({name} {number})")
                raise MalformedError(f"holds {what}, which no generator needs")
            key, kind, repeated = form[number]
            if not repeated and key in values:
                raise MalformedError(f"is not a sound ONNX file: {name}.{key} stands there twice")
            if kind in ("wholes", "floats"):
                values.setdefault(key, []).extend(self._numbers(kind, wire, raw))
                continue
            if wire != _WIRE.get(kind, 2):
                raise MalformedError(f"is not a sound ONNX file: {name}.{key} is of the wrong kind")
            value = self._value(kind, raw)
            if repeated:
                values.setdefault(key, []).append(value)
            else:
                values[key] = value
        return found

    def _value(self, kind: str, raw: Any) -> Any:
        if kind in _FORM:
            return self.message(kind, raw)
        if kind == "whole":
            return signed(raw)
        if kind != "text":
            return raw
        if len(raw) > LONGEST_NAME:
            raise MalformedError(f"is not a sound ONNX file: a name has {len(raw):,} bytes")
        try:
            return bytes(raw).decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedError("is not a sound ONNX file: a name is not UTF-8") from None

    def _numbers(self, kind: str, wire: int, raw: Any) -> list[Any]:
        """Repeated numbers, packed or one by one; of packed ones, the bytes as they lie there."""
        if wire == 2:
            return [raw]
        if wire != (0 if kind == "wholes" else 5):
            raise MalformedError("is not a sound ONNX file: numbers are of the wrong kind")
        return [signed(raw) if kind == "wholes" else raw]

    def _fields(self, data: memoryview) -> Iterator[tuple[int, int, Any]]:
        at, end = 0, len(data)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise MalformedError(f"is too large a graph: it has more than {MOST_FIELDS:,} fields")
            key, at = varint(data, at)
            number, wire = key >> 3, key & 7
            if wire == 0:
                value, at = varint(data, at)
                yield number, wire, value
                continue
            length = {1: 8, 5: 4}.get(wire)
            if wire == 2:
                length, at = varint(data, at)
            if length is None or length > end - at or number == 0:
                raise MalformedError("is not a sound ONNX file: it is cut off or damaged")
            yield number, wire, data[at : at + length]
            at += length


def read_model(data: memoryview) -> Message:
    """The message ModelProto of a file's bytes. Raises MalformedError."""
    return _Reader().message("model", data)


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at `at`, of at most 64 bits, and where the next thing begins."""
    value = shift = 0
    for step in range(10):
        if at + step >= len(data):
            break
        byte = data[at + step]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + step + 1
        shift += 7
    raise MalformedError("is not a sound ONNX file: it is cut off or damaged")


def signed(value: int) -> int:
    """Two's complement of 64 bits."""
    return value - (1 << 64) if value >= 1 << 63 else value


def wholes(numbers: list[Any], most: int) -> list[int]:
    """The whole numbers of a repeated field. Raises MalformedError where they are more than `most`."""
    found: list[int] = []
    for item in numbers:
        if isinstance(item, int):
            found.append(item)
            continue
        at = 0
        while at < len(item):
            value, at = varint(item, at)
            found.append(signed(value))
            if len(found) > most:
                break
    if len(found) > most:
        raise MalformedError(f"is not a sound graph: a list has more than {most} numbers")
    return found


def count(numbers: list[Any], size: int) -> int:
    """How many numbers a repeated field holds; `size` bytes each, 0 for varints."""
    total = 0
    for item in numbers:
        if isinstance(item, int):
            total += 1
        elif size:
            total += len(item) // size
        else:  # the last byte of every number is below 128
            total += len(bytes(item).translate(None, _CONTINUED))
    return total


_CONTINUED = bytes(range(128, 256))
