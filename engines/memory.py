"""Want of memory, as every runtime says it in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from engines.errors import OutOfMemoryError

WORDS = (
    "bad_alloc",
    "bad allocation",
    "failed to allocate",
    "can't alloc",
    "out of memory",
    "resource temporarily unavailable",  # no room for a thread's stack
)
"""Parts of the messages of OpenVINO, ONNX Runtime, torch and CUDA, in small letters."""


ROOM = 1 << 27
"""Bytes: a network's largest arrays at 1280 x 720."""


@contextmanager
def memory_told(what: str) -> Iterator[None]:
    """Within this block, want of memory becomes an OutOfMemoryError that says of `what`."""
    try:
        yield
    except Exception as error:
        if is_want_of_memory(error):
            raise OutOfMemoryError(f"there is not enough memory for {what}") from error
        raise


def is_want_of_memory(error: BaseException | None) -> bool:
    """Whether the error, or one that it came from, is for want of memory, whatever its words."""
    foreign = isinstance(error, RuntimeError) or isinstance(getattr(error, "__cause__", None), RuntimeError)
    while error is not None:
        if isinstance(error, MemoryError) or any(word in str(error).lower() for word in WORDS):
            return True
        error = error.__cause__
    return foreign and not _has_room()


def _has_room() -> bool:
    """Whether a little more could be had: runtimes fail in many words where it cannot."""
    try:
        np.empty(ROOM, np.uint8)
    except MemoryError:
        return False
    return True
