"""Messages on standard error while TensorRT engines are built, which takes minutes."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from streamtoon.cli.common import say

LOGGER = "streamtoon.engines"


class _PrintHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


@contextmanager
def build_messages() -> Iterator[None]:
    """Print what engines log about being built, within this block."""
    logger, handler = logging.getLogger(LOGGER), _PrintHandler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
