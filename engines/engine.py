"""An engine renders frames as cartoons, in order.

This module has what all engines share. `engines.rgb_engine` renders with generators of RGB images,
`engines.fields_engine` with generators of fields and a look.

A frame that equals the previous one, sample by sample, is not rendered again.
"""

from __future__ import annotations

import dataclasses
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import cv2
import numpy as np

from engines.backends.base import Runner, SupportsBatches
from engines.backends.frame_runner import DeviceRunners
from engines.common.arrays import Bytes
from engines.frame import ColorInfo, Frame, Planes
from engines.frame_dedup import LastFrameCache, PendingDrawing
from engines.imaging.color import rgb_to_yuv, yuv_to_rgb
from engines.imaging.field_blocks import FieldPlanes
from engines.imaging.temporal_filter import Stabilizer
from engines.imaging.working_size import WorkingSize, extend
from engines.looks.look import Look
from engines.registry.style import Style
from engines.spec import Precision, Quality

OpenRunner = Callable[[int, int], Runner]
"""Maps height and width of the generator's input, in pixels or blocks, to a runner."""

RGB_COLOR = ColorInfo("bt601", full_range=True)
"""Colour of still images inside the engine (that of JPEG), which loses the least."""
MAX_RUNNERS = 2
"""Number of runners that are kept: enough for a portrait and a landscape size to alternate."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """Facts about an engine, for frames of the size that it was opened for."""

    backend: str
    device: str
    precision: Precision
    generator: str
    """Name of the generator, of the style or of its lite form."""
    style: str
    quality: Quality
    """`custom` if `detail` was given."""
    scale: float
    """Working size / frame size."""
    working_width: int
    """Pixels."""
    working_height: int
    """Pixels."""
    reason: str
    """Why this quality was chosen, as a clause for display."""
    too_slow: bool = False
    """Whether `auto` found that no quality keeps up with the rate."""
    fallback: str = ""
    """What was requested and could not be done, as sentences; otherwise empty."""


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """Everything that an engine is constructed from."""

    style: Style
    """The style whose network is used: for quality `lite`, the lite form."""
    facts: EngineFacts
    detail: float | None
    clarity: float
    strength: float
    open_at: OpenRunner
    first: dict[tuple[int, int], Runner]
    """The runner for the size that the engine is opened for, by its input size."""
    stabilizer: Stabilizer


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The result of a job, from which the cartoon is finished."""

    source: Frame
    strength: float = 0.0
    planes: Planes | None = None
    """The cartoon's planes, read-only; None if there are `fields` or strength is 0."""
    fields: FieldPlanes | None = None
    """Fields to be filtered over time before the look; otherwise None."""
    look: Look | None = None


class PendingFrame:
    """A frame that an engine renders."""

    def __init__(self, job: Callable[[], Drawn], finish: Callable[[Drawn], Frame]) -> None:
        self._job, self._finish = job, finish
        self._drawn: Drawn | None = None

    def compute(self) -> None:
        """Render the frame; this is the slow part.

        `Engine.concurrency` threads may call it at the same time.
        """
        self._drawn = self._job()

    def result(self) -> Frame:
        """Return the cartoon. Call it once, after `compute`, in the order of the frames."""
        assert self._drawn is not None, "compute() must be called first"
        return self._finish(self._drawn)


class Engine(ABC):
    """Renders frames. Use `engines.factory.open_engine` to create one.

    Only one thread at a time may use it; `PendingFrame.compute` may run in others.
    """

    facts: EngineFacts
    concurrency: int
    """Number of pending frames that may compute at the same time and gain from it."""
    reused: int
    """Number of frames so far that equalled the previous one and were not rendered again."""
    partly_reused: int
    """Number of frames so far of which only a part was computed, because the rest equalled the previous
    one.
    """
    strength: float
    """0, the source, to 1, the cartoon. May be set at any time; applies to frames submitted afterwards."""
    stabilizer: Stabilizer
    """The temporal filter; does nothing with amount 0."""

    def __init__(self, setup: Setup) -> None:
        self.facts = setup.facts
        self.reused = self.partly_reused = 0
        self.stabilizer = setup.stabilizer
        self.strength = setup.strength
        self._style = setup.style
        self._detail = setup.detail
        self._clarity = setup.clarity
        self._open_at = setup.open_at
        self._runners = setup.first
        runner = next(iter(setup.first.values()))
        self._device = DeviceRunners(runner) if isinstance(runner, SupportsBatches) else None
        self.concurrency = runner.concurrency if self._device is None else self._device.concurrency
        self._opening = threading.Lock()
        self._last = LastFrameCache[Any]()
        self._last_asked: tuple[object, ...] = ()
        self._closed = False

    def __call__(self, frame: Frame) -> Frame:
        """Return the cartoon of a frame, with the same size, time and colour; at strength 0 the frame itself.

        The planes of the cartoon are read-only, because the next cartoon may share them. Read-only planes of
        the source must not change later; writable ones may change after this returns.
        """
        pending = self.submit(frame)
        pending.compute()
        return pending.result()

    def submit(self, frame: Frame) -> PendingFrame:
        """Start to render a frame.

        Frames must be submitted in order, because a frame that equals the previous one is not rendered again.
        The source's planes must not change until `PendingFrame.result` returns.
        """
        return PendingFrame(self._start(frame), self._finish)

    def _start(self, frame: Frame) -> Callable[[], Drawn]:
        """Return the job that renders a frame."""
        strength = self.strength
        if strength == 0:
            return lambda: Drawn(frame)
        asked = self._asked(strength)
        drawing = self._last.drawing_of(frame) if asked == self._last_asked else None
        if drawing is None:
            drawing = PendingDrawing(self._job(frame, strength))
            self._last.remember(frame, drawing)
            self._last_asked = asked
        else:
            self.reused += 1
        return self._giving(frame, strength, drawing)

    def _finish(self, drawn: Drawn) -> Frame:
        """Return the cartoon. Called once for every job, in the order of the frames."""
        if drawn.planes is None:
            self.stabilizer.reset()
            return drawn.source
        y, u, v = drawn.planes
        return dataclasses.replace(drawn.source, y=y, u=u, v=v)

    @abstractmethod
    def prepare(self, width: int, height: int, color: ColorInfo) -> None:
        """Prepare for 4:2:0 frames of that size and colour, which otherwise happens with the first of them.

        Raises EngineError if the device cannot render them, and OutOfMemoryError if its memory is too small.
        """

    def device_seconds(self) -> float | None:
        """Return the seconds per frame by the device's clock, without copies; None on the CPU."""
        return None if self._device is None else self._device.seconds()

    def switch(self, style: Style) -> bool:
        """Render in another style from the next frame on, if it has the same network.

        Return False and change nothing if a new engine must be opened for it.
        """
        return False

    def rgb(self, image: Bytes) -> Bytes:
        """Return the cartoon of an H x W x 3 RGB image of any size; at strength 0 a copy.

        Raises ValueError for another type or shape.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 H x W x 3")
        strength = self.strength
        if strength == 0:
            return image.copy()
        height, width = image.shape[:2]
        even = extend(np.ascontiguousarray(image), height + height % 2, width + width % 2)
        y, u, v = self._still(rgb_to_yuv(even, RGB_COLOR))
        return mixed(image, yuv_to_rgb(y, u, v, RGB_COLOR)[:height, :width], strength)

    def close(self) -> None:
        """Free the models. Calling it twice is allowed."""
        if self._device is not None:
            self._device.close()
        while self._runners:
            self._runners.popitem()[1].close()
        self._last.forget()
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _asked(self, strength: float) -> tuple[object, ...]:
        """Return everything that a drawing depends on besides the frame."""
        return (strength,)

    @abstractmethod
    def _job(self, frame: Frame, strength: float) -> Callable[[], Any]:
        """Return a function that renders a frame in any thread; `_giving` turns its result into a `Drawn`."""

    def _giving(self, frame: Frame, strength: float, drawing: PendingDrawing[Any]) -> Callable[[], Drawn]:
        return partial(_with_planes, frame, strength, drawing)

    @abstractmethod
    def _still(self, planes: Planes) -> Planes:
        """Render three planes of one even size in `RGB_COLOR` at full strength."""

    @abstractmethod
    def _working_size(self, height: int, width: int) -> WorkingSize: ...

    def _runner(self, size: WorkingSize) -> Runner:
        """Return the runner for a size, and mark it as most recently used."""
        if self._closed:
            raise ValueError("the engine is closed")
        key = size.given[:2]
        with self._opening:
            runner = self._runners.pop(key, None)
            while runner is None and len(self._runners) >= MAX_RUNNERS:
                oldest = self._runners.pop(next(iter(self._runners)))
                if self.concurrency == 1:  # otherwise another thread may use it; its last user frees it
                    oldest.close()
            if runner is None:
                runner = self._open_at(*key)
            self._runners[key] = runner
        return runner


def mixed(source: Bytes, cartoon: Bytes, strength: float) -> Bytes:
    """Mix source and cartoon; `strength` is the cartoon's share."""
    if strength == 1:
        return cartoon
    return np.asarray(cv2.addWeighted(cartoon, strength, source, 1 - strength, 0), np.uint8)


def _with_planes(frame: Frame, strength: float, drawing: PendingDrawing[Planes]) -> Drawn:
    return Drawn(frame, strength, drawing.planes())
