"""Conversions that are stopped, and gone on with, in the test's own process."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from killed_job import QUALITY, STYLE

from streamtoon.cartoonizer import Cartoonizer
from streamtoon.errors import UnfinishedError
from streamtoon.media.work import Work
from streamtoon.report import Report

OF_THE_CARTOONIZER = ("style", "quality", "strength", "detail", "device")
"""What of the options is not for `Cartoonizer.video`."""


def convert(source: Path, target: Path, **options: Any) -> Report:
    settings = {name: options.pop(name) for name in OF_THE_CARTOONIZER if name in options}
    with Cartoonizer(**{"style": STYLE, "quality": QUALITY, **settings}) as cartoonizer:
        return cartoonizer.video(source, target, **options)


class _AfterParts(threading.Event):
    """Is set once it has been looked at so often: once at the start, and once after every part."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self._left = parts + 1

    def is_set(self) -> bool:
        self._left -= 1
        return self._left <= 0


def stop(source: Path, target: Path, after: int = 2, **options: Any) -> int:
    """A conversion that is stopped after so many parts; how many pictures they have."""
    before = target.read_bytes() if target.exists() else None
    with pytest.raises(UnfinishedError, match=r"are done and kept in .*\.unfinished; the same command"):
        convert(source, target, stop=_AfterParts(after), **options)
    assert (target.read_bytes() if target.exists() else None) == before
    with Work(target) as work:
        work.load()
        assert len(work.parts) == after
        return work.pictures
