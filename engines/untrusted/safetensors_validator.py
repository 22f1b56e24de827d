"""Checks of an untrusted safetensors file: its header is compared with its size before a library reads it.

The format: eight bytes with the header's length, the header as JSON, the tensors one after another.
https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import stat
from pathlib import Path
from typing import Any, TypeGuard

from engines.errors import StyleError

MAX_BYTES = 1 << 30
"""Bytes of a weight file; the largest generator here has 88 MB, a training state several times that."""
MAX_HEADER_BYTES = 8 << 20
"""Bytes of the JSON header."""
MAX_TENSORS = 50_000
SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
"""Type -> bytes per value."""


def check_safetensors(file: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a file's tensors. Raises StyleError, one sentence that names the file."""
    try:
        facts = file.lstat()
        if not stat.S_ISREG(facts.st_mode):
            raise StyleError(f"{file} is a link or a special file; replace it by a regular file")
        if not 8 < facts.st_size <= MAX_BYTES:
            raise StyleError(f"{file} has {facts.st_size:,} bytes; allowed are 9 to {MAX_BYTES:,}")
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(MAX_HEADER_BYTES, facts.st_size - 8):
                raise StyleError(
                    f"{file} is not a safetensors file: a header of {length:,} bytes is impossible"
                )
            text = stream.read(length)
    except FileNotFoundError:
        raise StyleError(f"style {file.parent} is incomplete: it has no {file.name}") from None
    except OSError as error:
        raise StyleError(f"{file} cannot be read: {error.strerror or error}") from error
    try:
        header = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise StyleError(f"{file} is not a safetensors file: its header is not JSON") from None
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise StyleError(f"{file} is not a safetensors file: its header does not list tensors")
    header.pop("__metadata__", None)
    spans = sorted(_span(file, name, row) for name, row in header.items())
    place = 0
    for begin, end, _ in spans:
        if begin != place:
            raise StyleError(f"{file} is corrupt: its tensors overlap or leave gaps")
        place = end
    if place != facts.st_size - 8 - length:
        raise StyleError(
            f"{file} is corrupt: its tensors need {place:,} bytes, which is not what the file contains"
        )
    return {name: tuple(header[name]["shape"]) for _, _, name in spans}


def _span(file: Path, name: str, row: Any) -> tuple[int, int, str]:
    """Return where a tensor begins and ends, and its name; the length must match its shape."""
    if isinstance(row, dict):
        kind, shape, place = row.get("dtype"), row.get("shape"), row.get("data_offsets")
        if isinstance(kind, str) and kind in SIZES and _numbers(shape, 8) and _numbers(place, 2):
            begin, end = place if len(place) == 2 else (1, 0)
            if end - begin == math.prod(shape) * SIZES[kind]:
                return begin, end, name
    raise StyleError(f"{file} is corrupt: the tensor {name[:80]!r} has an impossible shape, type or position")


def _numbers(value: Any, most: int) -> TypeGuard[list[int]]:
    return (
        isinstance(value, list)
        and len(value) <= most
        and all(type(number) is int and 0 <= number <= MAX_BYTES for number in value)
    )
