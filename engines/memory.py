"""Want of memory, as every runtime says it in its own way."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np

from engines.errors import OutOfMemoryError, StreamtoonError

WORDS = (
    "bad_alloc",
    "bad allocation",
    "failed to allocate",
    "can't alloc",
    "cannot allocate",
    "out of memory",
    "outofmemory",
    "alloc_failed",
    "resource temporarily unavailable",  # no room for a thread's stack
)
"""Parts of the messages of OpenVINO, ONNX Runtime, torch, CUDA and the C library, in small letters."""


ROOM = 1 << 27
"""Bytes: a network's largest arrays at 1280 x 720."""


@contextmanager
def memory_told(what: str) -> Iterator[None]:
    """Within this block, want of memory becomes an OutOfMemoryError that says of `what`."""
    try:
        yield
    except OutOfMemoryError:
        raise
    except Exception as error:
        if is_want_of_memory(error):
            raise OutOfMemoryError(f"there is not enough memory for {what}") from error
        raise


def is_want_of_memory(error: BaseException) -> bool:
    """Whether the error, or one that it came from, is for want of memory, whatever its words.

    Where there is no room for more, whatever a library says is taken for that.
    """
    ours = isinstance(error, StreamtoonError) and error.__cause__ is None
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, (MemoryError, OutOfMemoryError)):
            return True
        if any(word in str(each).lower() for word in WORDS):
            return True
        # A library may say something else while it handles the want of memory; what we say is meant.
        each = each.__cause__ or (None if isinstance(each, StreamtoonError) else each.__context__)
    return not ours and not has_room()


def give_back() -> None:
    """What hangs together in circles, and what the C library (glibc) keeps for later, goes to the system."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def has_room() -> bool:
    """Whether a little more could be had: libraries fail in many words where it cannot."""
    try:
        np.empty(ROOM, np.uint8)
    except MemoryError:
        return False
    return True
