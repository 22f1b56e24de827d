"""Reads the protobuf messages of an ONNX graph without a runtime, within limits.

Only names and small numbers are copied, so a graph's weights cost nothing. Parts of the format that no
generator needs are rejected where they occur: subgraphs, functions, sparse tensors, sequences, unknown
fields, and fields given twice, from which two readers may build two different graphs.

Field numbers: onnx.proto of ONNX 1.23, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

Encoding: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

MAX_FIELDS = 500_000
"""Fields of a whole file: about a second's work. The largest generator here has about 20,000."""
MAX_NAME_BYTES = 2_000
"""UTF-8 bytes of a name."""

Kind = Literal["whole", "text", "bytes", "float", "wholes", "floats"]


class MalformedError(Exception):
    """The problem with a file, as the end of a sentence that begins with its name."""


@dataclass(slots=True)
class Message:
    """One message. Repeated fields are lists, others are values, missing ones are absent."""

    values: dict[str, Any] = field(default_factory=dict)

    def whole(self, name: str) -> int:
        """Return a whole number; 0 where it is missing, as in protobuf."""
        value: int = self.values.get(name, 0)
        return value

    def text(self, name: str) -> str:
        """Return a string; empty where it is missing."""
        value: str = self.values.get(name, "")
        return value

    def one(self, name: str) -> Message:
        """Return a message; an empty one where it is missing."""
        value: Message = self.values.get(name, Message())
        return value

    def many(self, name: str) -> list[Any]:
        """Return a repeated field as a list."""
        value: list[Any] = self.values.get(name, [])
        return value

    def has(self, name: str) -> bool:
        """Return whether the field is present."""
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
"""Wire types of the kinds without a length."""


class _Reader:
    def __init__(self) -> None:
        self._left = MAX_FIELDS

    def message(self, name: str, data: memoryview) -> Message:
        form, found = _FORM[name], Message()
        values = found.values
        for number, wire, raw in self._fields(data):
            if number not in form:
                what = _NOT_FOR_US.get((name, number), f"an unknown field ({name} {number})")
                raise MalformedError(f"contains {what}, which styles may not have")
            key, kind, repeated = form[number]
            if not repeated and key in values:
                raise MalformedError(f"is not a valid ONNX file: {name}.{key} occurs twice")
            if kind in ("wholes", "floats"):
                values.setdefault(key, []).extend(self._numbers(kind, wire, raw))
                continue
            if wire != _WIRE.get(kind, 2):
                raise MalformedError(f"is not a valid ONNX file: {name}.{key} has the wrong type")
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
        if len(raw) > MAX_NAME_BYTES:
            raise MalformedError(f"is not a valid ONNX file: a name has {len(raw):,} bytes")
        try:
            return bytes(raw).decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedError("is not a valid ONNX file: a name is not UTF-8") from None

    def _numbers(self, kind: str, wire: int, raw: Any) -> list[Any]:
        """Return repeated numbers. Packed ones come as their raw bytes."""
        if wire == 2:
            return [raw]
        if wire != (0 if kind == "wholes" else 5):
            raise MalformedError("is not a valid ONNX file: numbers have the wrong type")
        return [signed(raw) if kind == "wholes" else raw]

    def _fields(self, data: memoryview) -> Iterator[tuple[int, int, Any]]:
        at, end = 0, len(data)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise MalformedError(f"is too large: the graph has more than {MAX_FIELDS:,} fields")
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
                raise MalformedError("is not a valid ONNX file: it is truncated or corrupt")
            yield number, wire, data[at : at + length]
            at += length


def read_model(data: memoryview) -> Message:
    """Parse the ModelProto in a file's bytes. Raises MalformedError."""
    return _Reader().message("model", data)


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """Decode the number of at most 64 bits that begins at `at`. Returns it and the next position."""
    value = shift = 0
    for step in range(10):
        if at + step >= len(data):
            break
        byte = data[at + step]
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + step + 1
        shift += 7
    raise MalformedError("is not a valid ONNX file: it is truncated or corrupt")


def signed(value: int) -> int:
    """Read 64 bits as two's complement."""
    return value - (1 << 64) if value >= 1 << 63 else value


def wholes(numbers: list[Any], most: int) -> list[int]:
    """Return the whole numbers of a repeated field. Raises MalformedError for more than `most`."""
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
        raise MalformedError(f"is not a valid graph: a list has more than {most} numbers")
    return found


def count(numbers: list[Any], size: int) -> int:
    """Count the numbers in a repeated field; each has `size` bytes, or 0 for varints."""
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
