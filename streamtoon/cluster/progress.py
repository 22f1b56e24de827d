"""The progress of a run over many videos."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from streamtoon.cluster.file_run import FileRun
from streamtoon.cluster.seats import Seats

WINDOW_S = 10.0
"""Seconds that the frame rate is measured over."""


@dataclass(frozen=True, slots=True)
class FileProgress:
    """The progress of one open video."""

    name: str
    stage: str
    frames: int
    """Frames in finished segments."""
    total: int | None
    """Number of frames; None if unknown."""


@dataclass(frozen=True, slots=True)
class ClusterProgress:
    """The progress of all videos."""

    files: int
    """Number of videos."""
    done: int
    failed: int
    segments: int
    """Finished segments of the open videos."""
    segments_total: int
    frames: int
    """Frames drawn in this run."""
    fps: float
    """Frames per second of all workers together, over about the last ten seconds."""
    remaining: float | None
    """Seconds until the end at the rate so far; None if unknown."""
    workers: int
    """Workers that are there."""
    workers_total: int
    is_stopping: bool
    opened: tuple[FileProgress, ...]


class Meter:
    """Measures progress."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque()
        self._before: float | None = None

    def read(self, files: Sequence[FileRun], seats: Seats, is_stopping: bool) -> ClusterProgress:
        """Return the present progress."""
        now, frames = time.monotonic(), seats.drawn
        self._marks.append((now, frames))
        while now - self._marks[0][0] > WINDOW_S and len(self._marks) > 2:
            self._marks.popleft()
        then, before = self._marks[0]
        opened = [file for file in files if file.is_open]
        return ClusterProgress(
            files=len(files),
            done=sum(file.stage == "done" for file in files),
            failed=sum(file.stage == "failed" for file in files),
            segments=sum(len(file.arrivals.numbers) for file in opened if file.arrivals is not None),
            segments_total=sum(file.plan.segments for file in opened if file.plan is not None),
            frames=frames,
            fps=(frames - before) / (now - then) if now > then else 0.0,
            remaining=self._remaining(files, now - self._began),
            workers=seats.ready,
            workers_total=seats.total,
            is_stopping=is_stopping,
            opened=tuple(
                FileProgress(
                    file.job.name, file.stage, file.frames, None if file.plan is None else file.plan.frames
                )
                for file in opened
            ),
        )

    def _remaining(self, files: Sequence[FileRun], seconds: float) -> float | None:
        """Estimate by the bytes of the sources: the frames of those not yet opened are unknown."""
        counted = [file for file in files if file.stage != "failed"]  # such a file took almost no time
        total = sum(file.bytes for file in counted)
        share = sum(file.bytes * file.share for file in counted) / total if total else 1.0
        if self._before is None:
            self._before = share  # what an earlier run has done
        gained = share - self._before
        return seconds * (1 - share) / gained if gained > 0 else None
