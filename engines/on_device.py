"""An engine's pictures from planes to planes on a device: a runner for every size and colour of them."""

from __future__ import annotations

from collections.abc import Callable

from engines.backends.base import DrawsPlanes, PlanesRunner, PlanesTask
from engines.picture import Colour, Picture
from engines.reuse import Planes
from engines.style import Style
from engines.working_size import WorkingSize, working_scale

KEPT = 2
"""Planes runners kept for pictures of changing size: a landscape and a portrait one."""


def planes_task(picture: Picture, size: WorkingSize, *, radius: int, eps: float, lines: float) -> PlanesTask:
    """What a graph for pictures like this one has to be made for; the filter's settings at working size."""
    chroma_height, chroma_width = picture.u.shape
    return PlanesTask(
        size=size,
        height=picture.height,
        width=picture.width,
        chroma_height=chroma_height,
        chroma_width=chroma_width,
        matrix=picture.colour.matrix,
        full_range=picture.colour.full_range,
        radius=radius,
        eps=eps,
        lines=lines,
    )


def filter_radius(style: Style, size: WorkingSize) -> int:
    """The style's own where it works at full size, and as much smaller as the working size is.

    Windows then cover the same part of the picture, and `fast` looks like `full`.
    """
    full = working_scale("full", None, style.working_height, size.height, size.width)
    share = size.small_height / (size.height * full)
    return max(min(1, style.radius), round(style.radius * share))


def filter_eps(style: Style, colour: Colour) -> float:
    """The style's is a fraction of the range squared, and limited range spans 219 code values of 255."""
    return style.eps * (1.0 if colour.full_range else (219 / 255) ** 2)


class OnDevice:
    """Used by one thread at a time; the jobs run in any."""

    def __init__(self, backend: DrawsPlanes) -> None:
        self.at_a_time = backend.planes_at_a_time
        self._backend = backend
        self._runners: dict[PlanesTask, PlanesRunner] = {}

    def start(self, picture: Picture, task: PlanesTask, strength: float) -> Callable[[], Planes]:
        """The job that gives the cartoon's planes; the source's may change once this returns."""
        return self.open(task).start((picture.y, picture.u, picture.v), strength)

    def open(self, task: PlanesTask) -> PlanesRunner:
        """The runner for such pictures. TensorRT may need minutes for one that is not kept yet."""
        runner = self._runners.pop(task, None)
        if runner is None:
            while len(self._runners) >= KEPT:
                self._runners.pop(next(iter(self._runners))).close()
            runner = self._backend.open_planes(task)
        self._runners[task] = runner
        return runner

    def seconds(self) -> float | None:
        """Of the runner used last, by its device's clock; None before there is one."""
        return next(reversed(self._runners.values())).seconds() if self._runners else None

    def close(self) -> None:
        """Waits for what is under way and frees the runners; a second call does nothing."""
        while self._runners:
            self._runners.popitem()[1].close()
