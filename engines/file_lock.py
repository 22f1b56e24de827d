"""A lock between processes: a file that one of them holds. It falls with its process, however that ends."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 0.1
"""Seconds between two looks at a lock that another holds: Ctrl-C is heard in between."""


@contextmanager
def file_lock(file: Path, waiting: Callable[[], object] | None) -> Iterator[None]:
    """Holds `file`, made where missing, for the block; where another process has it, waits.

    `waiting` is called once before that; None means not to wait. Raises BlockingIOError where another has it
    and nobody is to wait, and OSError where the file cannot be made or its disk has no locks.
    """
    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            while not _try_lock(handle):
                if waiting is None:
                    raise BlockingIOError(f"{file} is held by another process")
                waiting()
                waiting = _silent
                time.sleep(PATIENCE)
            if _is_still(handle, file):
                yield
                return
            # Its last holder removed it: whoever comes now makes a new one, and this one holds nothing.
        finally:
            os.close(handle)


def _silent() -> None:
    """Said once is enough."""


def _is_still(handle: int, file: Path) -> bool:
    """Whether the open file is the one that the name stands for."""
    try:
        named = file.stat()
    except FileNotFoundError:
        return False
    held = os.fstat(handle)
    return (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
