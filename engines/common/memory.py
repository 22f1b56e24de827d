"""Out-of-memory errors, which every runtime reports in its own way."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np

from engines.errors import OutOfMemoryError, StreamtoonError

OUT_OF_MEMORY_WORDS = (
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
"""Parts of the messages of OpenVINO, ONNX Runtime, torch, CUDA and the C library, in lower case."""


PROBE_BYTES = 1 << 27
"""Bytes of the test allocation: the largest arrays of a network at 1280 x 720."""


@contextmanager
def translate_oom(what: str) -> Iterator[None]:
    """Turn an out-of-memory error inside the block into an OutOfMemoryError that names `what`."""
    try:
        yield
    except OutOfMemoryError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemoryError(f"not enough memory for {what}") from error
        raise


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the error, or one that caused it, is due to a lack of memory.

    Where a small test allocation fails, every message of a library counts as that.
    """
    ours = isinstance(error, StreamtoonError) and error.__cause__ is None
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, (MemoryError, OutOfMemoryError)):
            return True
        if any(word in str(each).lower() for word in OUT_OF_MEMORY_WORDS):
            return True
        # A library may raise something else while it handles a lack of memory.
        each = each.__cause__ or (None if isinstance(each, StreamtoonError) else each.__context__)
    return not ours and not can_allocate()


def release_memory() -> None:
    """Run the garbage collector and return free heap pages to the system (glibc only)."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)


def can_allocate() -> bool:
    """Return whether a small allocation succeeds. Libraries fail in many words where it does not."""
    try:
        np.empty(PROBE_BYTES, np.uint8)
    except MemoryError:
        return False
    return True
