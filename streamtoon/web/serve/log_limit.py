"""Rate limit for log records: one of each kind per second."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

INTERVAL_S = 1.0
_MAX_KINDS = 100
"""Kinds of records that are remembered."""


class OncePerSecond(logging.Filter):
    """Passes one record of each kind per second; the next one says how many were suppressed.

    A kind is a logger, a level, the first line of a message before formatting, and the class of an exception.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged."""
        error = record.exc_info[0] if record.exc_info else None
        kind = (record.name, record.levelno, str(record.msg).partition("\n")[0], error)
        now = time.monotonic()
        last, held_back = self._seen.pop(kind, (-INTERVAL_S, 0))
        passes = now - last >= INTERVAL_S
        self._seen[kind] = (now, 0) if passes else (last, held_back + 1)
        while len(self._seen) > _MAX_KINDS:  # drop the least recent one
            del self._seen[next(iter(self._seen))]
        if passes and held_back:
            record.msg = f"{record.getMessage()} (and {held_back} more like this)"
            record.args = None
        return passes


@contextmanager
def limited(*names: str) -> Iterator[None]:
    """Limit the loggers with these names, within this block."""
    limit = OncePerSecond()
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(limit)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(limit)
