"""One video on its way through the workers."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from streamtoon.cluster.arrivals import Arrivals
from streamtoon.cluster.jobs import Stretch, StretchResult, VideoJob
from streamtoon.cluster.planning import Plan
from streamtoon.cluster.segment_folder import SegmentFolder
from streamtoon.cluster.storage import LocalCopies
from streamtoon.reports import EngineReport, Report

Stage = Literal["waiting", "reading", "drawing", "joining", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class VideoResult:
    """What became of one video."""

    job: VideoJob
    report: Report | None
    """None if it failed, or was finished by an earlier run."""
    error: str = ""
    """A sentence if it failed; empty otherwise."""
    warnings: tuple[str, ...] = ()


@dataclass
class FileRun:
    """The state of one video. Only the dispatcher's thread changes it."""

    job: VideoJob
    bytes: int
    stage: Stage = "waiting"
    plan: Plan | None = None
    queue: deque[Stretch] = field(default_factory=deque)
    """Stretches that no worker has."""
    running: int = 0
    """Number of tasks that workers have."""
    arrivals: Arrivals | None = None
    """Finished segments; None where one worker converts the whole video."""
    results: list[StretchResult] = field(default_factory=list)
    engine: EngineReport | None = None
    """The engine that draws all segments; None until it is known."""
    began: float = field(default_factory=time.perf_counter)
    warnings: list[str] = field(default_factory=list)
    copies: LocalCopies = field(default_factory=LocalCopies)
    """The driver's copy of a remote source, from planning to joining."""
    lost: int = 0
    """Number of tasks whose worker disappeared."""

    @property
    def is_open(self) -> bool:
        """Whether work on it has begun and has not ended."""
        return self.stage in ("reading", "drawing", "joining")

    @property
    def is_whole(self) -> bool:
        """Whether one worker converts it."""
        return self.plan is not None and self.arrivals is None

    @property
    def has_work(self) -> bool:
        """Whether there is a task for an idle worker."""
        return self.stage == "drawing" and bool(self.queue or (self.is_whole and not self.running))

    @property
    def frames(self) -> int:
        """Frames in finished segments."""
        return 0 if self.arrivals is None else self.arrivals.frames

    @property
    def share(self) -> float:
        """Share of the work that is done, 0 to 1."""
        if self.stage == "done":
            return 1.0
        total = self.plan.frames if self.plan is not None else None
        return min(1.0, self.frames / total) if total else 0.0

    def begin(self, plan: Plan) -> None:
        """Queue what the plan leaves to draw."""
        self.plan, self.stage, self.engine = plan, "drawing", plan.engine
        if not plan.stretches:
            return
        self.arrivals = Arrivals(SegmentFolder(self.job.work), plan.segments)
        self.arrivals.add(plan.kept)
        for stretch in plan.stretches:
            if not set(range(stretch.number, stretch.number + stretch.count)) <= self.arrivals.numbers:
                self.queue.append(stretch)

    def add(self, result: StretchResult) -> None:
        """Add the segments that a task has finished."""
        self.results.append(result)
        if self.arrivals is not None:
            self.arrivals.add(result.segments)

    def make_whole(self, why: str) -> None:
        """Give up the cut: one worker converts the whole file."""
        self.close()
        self.results.clear()
        self.arrivals = None
        self.stage = "drawing"
        self.warnings.append(why)

    def close(self) -> None:
        """Give up what is not done, and remove the driver's copy of a remote source."""
        self.queue.clear()
        if self.arrivals is not None:
            self.arrivals.give_up()
        self.copies.close()
