"""An engine: pictures in, cartoons out, in the same order.

It owns everything between two pictures. What all engines share is here; `engines.rgb_engine` draws with
generators of finished pictures, `engines.fields_engine` with generators of fields and a look.

A picture that is the last one again, sample by sample, gets the last one's cartoon.
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
"""Padded height and width, in pixels or blocks as the generator takes them, to a runner."""

RGB_COLOUR = ColorInfo("bt601", full_range=True)
"""In which photographs pass through the engine (as JPEG's): the range that loses least."""
MAX_RUNNERS = 2
"""Runners kept for pictures of changing size: a landscape and a portrait one."""


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine is, for reports; for pictures of the size it was opened for."""

    backend: str
    device: str
    precision: Precision
    generator: str
    """The network that draws: of the style, or of its lite form."""
    style: str
    quality: Quality
    """`custom` where `detail` was given."""
    scale: float
    """Working size / picture size."""
    working_width: int
    """Pixels."""
    working_height: int
    """Pixels."""
    reason: str
    """Why this quality, one clause for people."""
    too_slow: bool = False
    """Whether `auto` has found that no quality keeps up with the rate here."""
    given_up: str = ""
    """What was asked for and not done for want of memory, a sentence; empty where all is as asked."""


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """What an engine is made of."""

    style: Style
    """The one whose network draws: with quality `lite`, the style's lite form."""
    facts: EngineFacts
    detail: float | None
    strength: float
    open_at: OpenRunner
    first: dict[tuple[int, int], Runner]
    """The runner for the size that the engine is opened for."""
    stabilizer: Stabilizer


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What a job gives: all that the cartoon is finished from."""

    source: Frame
    strength: float = 0.0
    planes: Planes | None = None
    """The finished cartoon's, read-only; None where there are fields, or strength is 0."""
    fields: FieldPlanes | None = None
    """Where they are to be made steady before the look."""
    look: Look | None = None


class PendingFrame:
    """A frame that an engine renders."""

    def __init__(self, job: Callable[[], Drawn], finish: Callable[[Drawn], Frame]) -> None:
        self._job, self._finish = job, finish
        self._drawn: Drawn | None = None

    def compute(self) -> None:
        """Render: the slow part. `Engine.concurrency` threads may call it at the same time."""
        self._drawn = self._job()

    def result(self) -> Frame:
        """Return the cartoon. Called once, after `compute`, in the order of the frames."""
        assert self._drawn is not None, "compute() comes first"
        return self._finish(self._drawn)


class Engine(ABC):
    """Renders frames. `engines.factory.open_engine` makes one.

    One thread at a time uses it; only the pending frames that `submit` gives may be computed in others.
    """

    facts: EngineFacts
    concurrency: int
    """Number of pending frames that are worth computing at the same time."""
    reused: int
    """Pictures so far that were the one before again, and were not drawn anew."""
    strength: float
    """0, the source, to 1, the cartoon; may be set at any time, and counts from the next start on."""
    stabilizer: Stabilizer
    """What holds drawings steady; with amount 0 it touches nothing."""

    def __init__(self, setup: Setup) -> None:
        self.facts = setup.facts
        self.reused = 0
        self.stabilizer = setup.stabilizer
        self.strength = setup.strength
        self._style = setup.style
        self._detail = setup.detail
        self._open_at = setup.open_at
        self._runners = setup.first
        runner = next(iter(setup.first.values()))
        self._device = DeviceRunners(runner) if isinstance(runner, SupportsBatches) else None
        self.concurrency = runner.concurrency if self._device is None else self._device.concurrency
        self._opening = threading.Lock()
        self._last = LastFrameCache[Any]()
        self._last_asked: tuple[object, ...] = ()
        self._closed = False

    def __call__(self, picture: Frame) -> Frame:
        """The cartoon of a picture: same size, time and colour. Strength 0 returns the picture itself.

        Its planes are read-only, for the next picture may share them. Read-only planes of the source are
        taken to stay as they are; others may be filled anew once this has returned.
        """
        pending = self.submit(picture)
        pending.compute()
        return pending.result()

    def submit(self, frame: Frame) -> PendingFrame:
        """Begin to render a frame.

        Frames are submitted in their order, so that a frame that equals the one before is not rendered again.
        The source's planes have to stay unchanged until `PendingFrame.result` returns.
        """
        return PendingFrame(self._start(frame), self._finish)

    def _start(self, picture: Frame) -> Callable[[], Drawn]:
        """Return the job that draws a picture."""
        strength = self.strength
        if strength == 0:
            return lambda: Drawn(picture)
        asked = self._asked(strength)
        drawing = self._last.drawing_of(picture) if asked == self._last_asked else None
        if drawing is None:
            drawing = PendingDrawing(self._job(picture, strength))
            self._last.remember(picture, drawing)
            self._last_asked = asked
        else:
            self.reused += 1
        return self._giving(picture, strength, drawing)

    def _finish(self, drawn: Drawn) -> Frame:
        """Return the cartoon. Called once for every job, in the order of their frames."""
        if drawn.planes is None:
            self.stabilizer.reset()
            return drawn.source
        y, u, v = drawn.planes
        return dataclasses.replace(drawn.source, y=y, u=u, v=v)

    @abstractmethod
    def prepare(self, width: int, height: int, colour: ColorInfo) -> None:
        """Makes ready for pictures of that size and colour, 4:2:0, which else happens with the first of them.

        Raises EngineError where the device cannot draw them, OutOfMemoryError where its memory is too small.
        """

    def device_seconds(self) -> float | None:
        """What a picture takes by the device's own clock, without copies; None where the host draws."""
        return None if self._device is None else self._device.seconds()

    def switch(self, style: Style) -> bool:
        """Draws in another style from the next start on, where that needs no other network.

        False, with nothing changed, where another engine has to be opened for it.
        """
        return False

    def rgb(self, image: Bytes) -> Bytes:
        """The cartoon of an H x W x 3 RGB image of any size; strength 0 returns a copy.

        Raises ValueError for anything but uint8 of that shape.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 H x W x 3")
        strength = self.strength
        if strength == 0:
            return image.copy()
        height, width = image.shape[:2]
        even = extend(np.ascontiguousarray(image), height + height % 2, width + width % 2)
        y, u, v = self._still(rgb_to_yuv(even, RGB_COLOUR))
        return mixed(image, yuv_to_rgb(y, u, v, RGB_COLOUR)[:height, :width], strength)

    def close(self) -> None:
        """Frees the models; a second call does nothing."""
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
        """What has to be the same for a drawing to be used again."""
        return (strength,)

    @abstractmethod
    def _job(self, picture: Frame, strength: float) -> Callable[[], Any]:
        """What draws a picture, in any thread: gives what `_giving` makes a Drawn of."""

    def _giving(self, picture: Frame, strength: float, drawing: PendingDrawing[Any]) -> Callable[[], Drawn]:
        return partial(_with_planes, picture, strength, drawing)

    @abstractmethod
    def _still(self, planes: Planes) -> Planes:
        """Three planes of `RGB_COLOUR`, all of one even size, to the same of the cartoon at full strength."""

    @abstractmethod
    def _working_size(self, height: int, width: int) -> WorkingSize: ...

    def _runner(self, size: WorkingSize) -> Runner:
        """The runner for that size, moved to the end of the ones kept."""
        if self._closed:
            raise ValueError("the engine is closed")
        key = size.given[:2]
        with self._opening:
            runner = self._runners.pop(key, None)
            while runner is None and len(self._runners) >= MAX_RUNNERS:
                oldest = self._runners.pop(next(iter(self._runners)))
                if self.concurrency == 1:  # else another thread may be drawing with it, and it goes with that
                    oldest.close()
            if runner is None:
                runner = self._open_at(*key)
            self._runners[key] = runner
        return runner


def mixed(source: Bytes, cartoon: Bytes, strength: float) -> Bytes:
    """The share `strength` of the cartoon in the source."""
    if strength == 1:
        return cartoon
    return np.asarray(cv2.addWeighted(cartoon, strength, source, 1 - strength, 0), np.uint8)


def _with_planes(picture: Frame, strength: float, drawing: PendingDrawing[Planes]) -> Drawn:
    return Drawn(picture, strength, drawing.planes())
