"""Conversions by a pool of workers, in the test's own process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from killed_job import QUALITY, STYLE

from streamtoon.cluster.dispatcher import Callbacks, Dispatcher
from streamtoon.cluster.file_run import VideoResult
from streamtoon.cluster.jobs import EngineChoice, VideoJob
from streamtoon.cluster.pool import LocalPool, Pool
from streamtoon.media.reader.options import ReaderOptions
from streamtoon.media.writer.options import WriterOptions


def job(source: Path | str, target: Path | str, **changes: Any) -> VideoJob:
    """A job of the cheapest engine; `changes` are those of VideoJob."""
    settings = {
        "reading": ReaderOptions(),
        "writing": WriterOptions(),
        "engine": EngineChoice(STYLE, quality=QUALITY),
        **changes,
    }
    return VideoJob(str(source), str(target), **settings)


def run_on(pool: Pool, jobs: Sequence[VideoJob], stop: threading.Event | None = None) -> list[VideoResult]:
    """What becomes of each video."""
    results: list[VideoResult] = []
    Dispatcher(jobs, pool, Callbacks(results.append), stop or threading.Event()).run()
    return results


def convert_all(jobs: Sequence[VideoJob], workers: int = 2) -> list[VideoResult]:
    """The same with threads of this process."""
    with LocalPool([None] * workers) as pool:
        return run_on(pool, jobs)
