"""Conversions that are stopped, and gone on with, in the test's own process."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from killed_job import QUALITY, STYLE

from streamtoon.api import Cartoonizer
from streamtoon.errors import UnfinishedError
from streamtoon.media.segments.packet_store import PacketStore
from streamtoon.reports import Report

OF_THE_CARTOONIZER = ("style", "look", "quality", "strength", "detail", "device")
"""What of the options is not for `Cartoonizer.video`."""


def convert(source: Path, target: Path, **options: Any) -> Report:
    settings = {name: options.pop(name) for name in OF_THE_CARTOONIZER if name in options}
    with Cartoonizer(**{"style": STYLE, "quality": QUALITY, **settings}) as cartoonizer:
        return cartoonizer.video(source, target, **options)


def wait_until_signals_are_heard(process: subprocess.Popen[Any], limit_s: float = 240) -> None:
    """Until the command has begun: it has a handler for SIGTERM, which Python by itself has not."""
    facts = Path(f"/proc/{process.pid}/status")
    until = time.monotonic() + limit_s
    while facts.exists():
        line = next(line for line in facts.read_text().splitlines() if line.startswith("SigCgt:"))
        if int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            break
        assert process.poll() is None, "it has ended"
        assert time.monotonic() < until, "it does not begin"
        time.sleep(0.05)
    # So that it comes as far as its source, most times; no test depends on that.
    time.sleep(1 if facts.exists() else 4)


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
    with pytest.raises(
        UnfinishedError, match=r"are finished and stored in .*\.unfinished; run the same command"
    ):
        convert(source, target, stop=_AfterParts(after), **options)
    assert (target.read_bytes() if target.exists() else None) == before
    with PacketStore(target) as work:
        work.load()
        assert len(work.parts) == after
        return work.frames
