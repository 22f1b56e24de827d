"""A cache of the batch runners of a video, one for each task (size and, for RGB styles, colour)."""

from __future__ import annotations

from collections.abc import Callable

from engines.backends.base import BatchRunner, SupportsBatches
from engines.export.tasks import FieldsTask, FrameTask, Samples, Task
from engines.frame import ColorInfo, Frame
from engines.imaging.guided_filter import FilterSettings
from engines.imaging.working_size import BlockSize, WorkingSize, working_scale
from engines.registry.style import Style

MAX_RUNNERS = 2
"""Number of batch runners that are kept: enough for a portrait and a landscape size to alternate."""


def frame_task(style: Style, frame: Frame, size: WorkingSize) -> FrameTask:
    """Return the task of a graph that renders frames like this one."""
    settings = filter_settings(style, size, frame.color)
    chroma_height, chroma_width = frame.u.shape
    return FrameTask(
        size=size,
        height=frame.height,
        width=frame.width,
        chroma_height=chroma_height,
        chroma_width=chroma_width,
        matrix=frame.color.matrix,
        full_range=frame.color.full_range,
        radius=settings.radius,
        eps=settings.eps,
        lines=settings.lines,
    )


def fields_task(size: BlockSize) -> FieldsTask:
    """Return the task of a graph of fields for that size."""
    rows, columns, _ = size.given
    return FieldsTask(rows, columns)


def filter_settings(style: Style, size: WorkingSize, color: ColorInfo) -> FilterSettings:
    """Return the style's guided filter for a working size and a colour.

    The radius shrinks with the working size, so that windows cover the same part of the frame and `fast`
    looks like `full`. `eps` is a fraction of the squared range; limited range spans 219 of 255 code values.
    """
    full = working_scale("full", None, style.working_height, size.height, size.width)
    share = size.working_height / (size.height * full)
    radius = max(min(1, style.radius), round(style.radius * share))
    return FilterSettings(radius, style.eps * (1.0 if color.full_range else (219 / 255) ** 2), style.lines)


class DeviceRunners:
    """The open batch runners of an engine. One thread at a time may call it; jobs may run in any thread."""

    def __init__(self, backend: SupportsBatches) -> None:
        self.concurrency = backend.batched_concurrency
        self._backend = backend
        self._runners: dict[Task, BatchRunner] = {}

    def start(self, source: Samples, task: Task, strength: float = 1.0) -> Callable[[], Samples]:
        """Start the task on a frame, which may be changed after this returns. The job returns the result."""
        return self.open(task).start(source, strength)

    def open(self, task: Task) -> BatchRunner:
        """Return the runner for a task. Building a TensorRT engine that is not cached takes minutes."""
        runner = self._runners.pop(task, None)
        if runner is None:
            while len(self._runners) >= MAX_RUNNERS:
                self._runners.pop(next(iter(self._runners))).close()
            runner = self._backend.open_batches(task)
        self._runners[task] = runner
        return runner

    def seconds(self) -> float | None:
        """Return the seconds per frame of the last used runner, by the device's clock.

        Return None if no runner was used yet.
        """
        return next(reversed(self._runners.values())).seconds() if self._runners else None

    def close(self) -> None:
        """Wait for running jobs and free the runners. Calling it twice is allowed."""
        while self._runners:
            self._runners.popitem()[1].close()
