"""What takes minutes before a first picture, told on standard error: TensorRT engines being built."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from streamtoon.cli.common import say

LOGGER = "streamtoon.engines"


class _Said(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@contextmanager
def building_told() -> Iterator[None]:
    """Within this block, what engines tell about their building is said, a line each."""
    logger, handler = logging.getLogger(LOGGER), _Said()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
