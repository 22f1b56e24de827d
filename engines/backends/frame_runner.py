"""An engine's videos on a device: a batch runner for every task, which is a size and, of planes, a colour."""

from __future__ import annotations

from collections.abc import Callable

from engines.backends.base import BatchRunner, SupportsBatches
from engines.export.tasks import FieldsTask, FrameTask, Samples, Task
from engines.frame import ColorInfo, Frame
from engines.imaging.guided_filter import FilterSettings
from engines.imaging.working_size import BlockSize, WorkingSize, working_scale
from engines.registry.style import Style

MAX_RUNNERS = 2
"""Batch runners kept for pictures of changing size: a landscape and a portrait one."""


def frame_task(style: Style, picture: Frame, size: WorkingSize) -> FrameTask:
    """What a graph for pictures like this one has to be made for."""
    settings = filter_settings(style, size, picture.colour)
    chroma_height, chroma_width = picture.u.shape
    return FrameTask(
        size=size,
        height=picture.height,
        width=picture.width,
        chroma_height=chroma_height,
        chroma_width=chroma_width,
        matrix=picture.colour.matrix,
        full_range=picture.colour.full_range,
        radius=settings.radius,
        eps=settings.eps,
        lines=settings.lines,
    )


def fields_task(size: BlockSize) -> FieldsTask:
    """What a graph of fields has to be made for at that size."""
    rows, columns, _ = size.given
    return FieldsTask(rows, columns)


def filter_settings(style: Style, size: WorkingSize, colour: ColorInfo) -> FilterSettings:
    """The style's guided filter for a working size and a colour.

    The radius is the style's own where it works at full size, and as much smaller as the working size is:
    windows then cover the same part of the picture, and `fast` looks like `full`. Eps is a fraction of the
    range squared, and limited range spans 219 code values of 255.
    """
    full = working_scale("full", None, style.working_height, size.height, size.width)
    share = size.small_height / (size.height * full)
    radius = max(min(1, style.radius), round(style.radius * share))
    return FilterSettings(radius, style.eps * (1.0 if colour.full_range else (219 / 255) ** 2), style.lines)


class DeviceRunners:
    """Used by one thread at a time; the jobs run in any."""

    def __init__(self, backend: SupportsBatches) -> None:
        self.concurrency = backend.batched_concurrency
        self._backend = backend
        self._runners: dict[Task, BatchRunner] = {}

    def start(self, source: Samples, task: Task, strength: float = 1.0) -> Callable[[], Samples]:
        """The job that gives what the task makes of a picture, which may change once this returns."""
        return self.open(task).start(source, strength)

    def open(self, task: Task) -> BatchRunner:
        """The runner for that task. TensorRT may need minutes for one that is not kept yet."""
        runner = self._runners.pop(task, None)
        if runner is None:
            while len(self._runners) >= MAX_RUNNERS:
                self._runners.pop(next(iter(self._runners))).close()
            runner = self._backend.open_batches(task)
        self._runners[task] = runner
        return runner

    def seconds(self) -> float | None:
        """Of the runner used last, by its device's clock; None before there is one."""
        return next(reversed(self._runners.values())).seconds() if self._runners else None

    def close(self) -> None:
        """Waits for what is under way and frees the runners; a second call does nothing."""
        while self._runners:
            self._runners.popitem()[1].close()
