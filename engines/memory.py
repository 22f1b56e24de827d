"""Want of memory, as every runtime says it in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
    """Whether the error, or one that it came from, is for want of memory."""
    while error is not None:
        if isinstance(error, MemoryError) or any(word in str(error).lower() for word in WORDS):
            return True
        error = error.__cause__
    return False
