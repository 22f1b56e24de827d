"""An engine: pictures in, cartoons out, in the same order.

It owns everything between two pictures: the working size, colour conversion, padding, the generator, the
guided filter that brings the drawing to the picture's own size, and the strength of the effect.

The generator draws a picture at working size. Of its drawing, luma is taken over through a guided filter:
lines fitted at working size between the source's luma (the guide) and the drawn luma, applied to the
source's full-size luma (He and Sun's fast guided filter). Chroma is taken as it
is, resized to where 4:2:0 keeps it. RGB exists at working size only.

A picture that is the last one again, sample by sample, gets the last one's cartoon.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.backends import Runner
from engines.backends.base import DrawsPlanes, PlanesTask, Precision
from engines.colour import rgb_to_yuv, yuv_to_rgb
from engines.guided_filter import Scratch, apply_coefficients, fast_coefficients, keep_lines
from engines.memory import memory_told
from engines.on_device import OnDevice, filter_eps, filter_radius, planes_task
from engines.picture import Colour, Picture
from engines.reuse import Drawing, LastPicture, Planes
from engines.style import Style
from engines.working_size import Quality, WorkingSize, extend, fit, working_scale

Bytes = NDArray[np.uint8]
OpenRunner = Callable[[int, int], Runner]
"""Padded height and width to a runner."""

RGB_COLOUR = Colour("bt601", full_range=True)
"""In which photographs pass through the engine (as JPEG's): the range that loses least."""
KEPT_SIZES = 2
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
    given_up: str = ""
    """What was asked for and not done for want of memory, a sentence; empty where all is as asked."""


class Engine:
    """Made by `engines.opening.open_engine`. Used by one thread at a time, except for the jobs that `start`
    gives; frees its models on `close`.
    """

    facts: EngineFacts
    at_a_time: int
    """Pictures that it draws as fast at the same time as one after the other, or faster: jobs of `start`."""
    reused: int
    """Pictures so far that were the one before again, and were not drawn anew."""
    strength: float
    """0, the source, to 1, the cartoon; may be set at any time, and counts from the next start on."""

    def __init__(
        self,
        style: Style,
        facts: EngineFacts,
        detail: float | None,
        strength: float,
        open_at: OpenRunner,
        first: dict[tuple[int, int], Runner],
    ) -> None:
        """`style` is the one whose network draws: with quality `lite`, the style's lite form."""
        self.facts = facts
        runner = next(iter(first.values()))
        self._device = OnDevice(runner) if isinstance(runner, DrawsPlanes) else None
        self.at_a_time = runner.at_a_time if self._device is None else self._device.at_a_time
        self.reused = 0
        self._style = style
        self._detail = detail
        self.strength = strength
        self._open_at = open_at
        self._runners = first
        self._opening = threading.Lock()
        self._local = threading.local()
        self._last = LastPicture()
        self._last_strength = strength
        self._closed = False

    def __call__(self, picture: Picture) -> Picture:
        """The cartoon of a picture: same size, time and colour. Strength 0 returns the picture itself.

        Its planes are read-only, for the next picture may share them. Read-only planes of the source are
        taken to stay as they are; others may be filled anew once this has returned.
        """
        return self.start(picture)()

    def start(self, picture: Picture) -> Callable[[], Picture]:
        """The job that draws a picture, to be called in any thread, `at_a_time` of them at the same time.

        Pictures are started in their order, so that one that is the last one again is known for it; the
        source's planes have to stay as they are until its job is done.
        """
        strength = self.strength
        if strength == 0:
            return lambda: picture
        drawing = self._last.drawing_of(picture) if strength == self._last_strength else None
        if drawing is None:
            drawing = Drawing(self._job(picture, strength))
            self._last.remember(picture, drawing)
            self._last_strength = strength
        else:
            self.reused += 1
        return partial(_with_planes, picture, drawing)

    def _job(self, picture: Picture, strength: float) -> Callable[[], Planes]:
        """A device begins at once; the host's work is the job itself."""
        if self._device is None:
            return partial(self._draw, picture, strength)
        return self._device.start(picture, self._task(picture), strength)

    def prepare(self, width: int, height: int, colour: Colour) -> None:
        """Makes ready for pictures of that size and colour, 4:2:0, which else happens with the first of them.

        Raises EngineError where the device cannot draw them, OutOfMemoryError where its memory is too small.
        """
        if self._device is not None:
            chroma = ((height + 1) // 2, (width + 1) // 2)
            y, u, v = (np.empty(shape, np.uint8) for shape in ((height, width), chroma, chroma))
            self._device.open(self._task(Picture(y, u, v, 0, Fraction(1), colour=colour)))

    def device_seconds(self) -> float | None:
        """What a picture takes by the device's own clock, without copies; None where the host draws."""
        return None if self._device is None else self._device.seconds()

    def _task(self, picture: Picture) -> PlanesTask:
        size, style = self._working_size(picture.height, picture.width), self._style
        radius, eps = filter_radius(style, size), filter_eps(style, picture.colour)
        return planes_task(picture, size, radius=radius, eps=eps, lines=style.lines)

    def _draw(self, picture: Picture, strength: float) -> Planes:
        height, width = picture.height, picture.width
        y = extend(picture.y, height + height % 2, width + width % 2)
        drawn_y, u, v = self._cartoon((y, picture.u, picture.v), picture.colour)
        y = drawn_y[:height, :width]
        pairs = ((picture.y, y), (picture.u, u), (picture.v, v))
        mixed_y, mixed_u, mixed_v = (_mix(source, cartoon, strength) for source, cartoon in pairs)
        return mixed_y, mixed_u, mixed_v

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
        y, u, v = self._cartoon(rgb_to_yuv(even, RGB_COLOUR), RGB_COLOUR)
        return _mix(image, yuv_to_rgb(y, u, v, RGB_COLOUR)[:height, :width], strength)

    def close(self) -> None:
        """Frees the models; a second call does nothing."""
        if self._device is not None:
            self._device.close()
        while self._runners:
            self._runners.popitem()[1].close()
        self._last.forget()
        self._closed = True

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cartoon(self, planes: Planes, colour: Colour) -> Planes:
        """Three planes of even luma size and any chroma size to the same, at full strength."""
        y, u, v = planes
        scratch = self._scratch()
        size = self._working_size(*y.shape)
        guide = size.shrink(y)
        image = yuv_to_rgb(guide, size.shrink(u), size.shrink(v), colour)
        with memory_told(f"a picture of {size.width}x{size.height} in style {self._style.name}"):
            drawing = size.crop(self._runner(size)(size.pad(image)))
        drawn_y, drawn_u, drawn_v = rgb_to_yuv(drawing, colour)
        radius, eps = filter_radius(self._style, size), filter_eps(self._style, colour)
        a, b = fast_coefficients(guide, drawn_y, radius, eps, scratch)
        if self._style.lines:
            b = keep_lines(a, b, guide, drawn_y, self._style.lines, scratch)
        return apply_coefficients(a, b, y, scratch), fit(drawn_u, *u.shape), fit(drawn_v, *v.shape)

    def _working_size(self, height: int, width: int) -> WorkingSize:
        scale = working_scale(self.facts.quality, self._detail, self._style.working_height, height, width)
        return WorkingSize.of(height, width, scale, self._style.size_multiple)

    def _runner(self, size: WorkingSize) -> Runner:
        """The runner for that size, moved to the end of the ones kept."""
        if self._closed:
            raise ValueError("the engine is closed")
        key = (size.padded_height, size.padded_width)
        with self._opening:
            runner = self._runners.pop(key, None)
            while runner is None and len(self._runners) >= KEPT_SIZES:
                oldest = self._runners.pop(next(iter(self._runners)))
                if self.at_a_time == 1:  # else another thread may be drawing with it, and it goes with that
                    oldest.close()
            if runner is None:
                runner = self._open_at(*key)
            self._runners[key] = runner
        return runner

    def _scratch(self) -> Scratch:
        """The calling thread's own."""
        scratch: Scratch | None = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._local.scratch = Scratch()
        return scratch


def _mix(source: Bytes, cartoon: Bytes, strength: float) -> Bytes:
    if strength == 1:
        return cartoon
    return np.asarray(cv2.addWeighted(cartoon, strength, source, 1 - strength, 0), np.uint8)


def _with_planes(picture: Picture, drawing: Drawing) -> Picture:
    y, u, v = drawing.planes()
    return dataclasses.replace(picture, y=y, u=u, v=v)
