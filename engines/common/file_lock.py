"""A lock between processes on one file. The system releases it when its process ends, even by a crash."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

POLL_INTERVAL_S = 0.1
"""Seconds between two attempts while another process holds the lock. Ctrl-C works in between."""


@contextmanager
def file_lock(file: Path, on_wait: Callable[[], object] | None) -> Iterator[None]:
    """Hold a lock on `file` for the block. The file is created with mode 0600 if it is missing.

    Args:
        file: The lock file.
        on_wait: Called once before waiting for another process that holds the lock. None means not to wait.

    Raises:
        filelock.Timeout: Another process holds the lock and `on_wait` is None. It is an OSError.
        OSError: The file cannot be created, or its disk does not support locks.
    """
    # Where a disk has no locks, the fallback would create a file that stays after a crash.
    if not file.parent.is_dir():  # which filelock would create
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file.parent))
    lock = FileLock(file, mode=0o600, fallback_to_soft=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if on_wait is None:
            raise
        on_wait()
        lock.acquire(poll_interval=POLL_INTERVAL_S)
    try:
        yield
    finally:
        lock.release()
