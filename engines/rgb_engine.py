"""The engine for generators of RGB images, which run at working size.

Around the generator there are colour conversion, margins that are drawn and cut off, the guided filter that
scales the drawing to the frame's size, and the strength of the effect.

The luma of the drawing goes through a guided filter: coefficients are fitted at working size with the
source's luma as guide, and applied to the source's luma at full size (He and Sun's fast guided filter).
Chroma is only resized to its size in 4:2:0. RGB exists at working size only.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import numpy as np

from engines.backends.frame_runner import filter_settings, frame_task
from engines.common.arrays import Bytes
from engines.common.memory import translate_oom
from engines.engine import RGB_COLOR, Drawn, Engine, Setup, mixed
from engines.export.tasks import FrameTask, Samples
from engines.frame import ColorInfo, Frame, Plane, Planes
from engines.generators import margin_of
from engines.imaging.color import rgb_to_yuv, yuv_to_rgb
from engines.imaging.guided_filter import Scratch, at_full_size
from engines.imaging.local_contrast import with_local_contrast
from engines.imaging.working_size import WorkingSize, extend, fit, working_scale


class RgbEngine(Engine):
    """Renders with a generator of RGB images; the temporal filter works on finished cartoons."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._local = threading.local()

    def _finish(self, drawn: Drawn) -> Frame:
        """Filter the finished cartoon; see `Engine._finish`."""
        return self.stabilizer(drawn.source, super()._finish(drawn))

    def prepare(self, width: int, height: int, color: ColorInfo) -> None:
        """Prepare the device; see `Engine.prepare`."""
        if self._device is not None:
            chroma = ((height + 1) // 2, (width + 1) // 2)
            y, u, v = (np.empty(shape, np.uint8) for shape in ((height, width), chroma, chroma))
            self._device.open(self._task(Frame(y, u, v, 0, Fraction(1), color=color)))

    def _job(self, frame: Frame, strength: float) -> Callable[[], Planes]:
        """Return the job of a frame. A device starts now; on the CPU, all work is in the job."""
        if self._device is None:
            return partial(self._draw, frame, strength)
        if not self._clarity:
            return partial(_planes, self._device.start(_of(frame), self._task(frame), strength))
        # At full strength, because the device would mix the cartoon with what it is given.
        seen = self._seen(frame.y, frame.color), frame.u, frame.v
        return partial(_mixed, frame, self._device.start(seen, self._task(frame), 1.0), strength)

    def _task(self, frame: Frame) -> FrameTask:
        return frame_task(self._style, frame, self._working_size(frame.height, frame.width))

    def _draw(self, frame: Frame, strength: float) -> Planes:
        height, width = frame.height, frame.width
        y = extend(self._seen(frame.y, frame.color), height + height % 2, width + width % 2)
        drawn_y, u, v = self._cartoon((y, frame.u, frame.v), frame.color)
        return _mix(frame, (drawn_y[:height, :width], u, v), strength)

    def _still(self, planes: Planes) -> Planes:
        y, u, v = planes
        return self._cartoon((self._seen(y, RGB_COLOR), u, v), RGB_COLOR)

    def _seen(self, y: Plane, color: ColorInfo) -> Plane:
        """Return luma as the generator sees it."""
        return with_local_contrast(y, self._clarity, full_range=color.full_range)

    def _cartoon(self, planes: Planes, color: ColorInfo) -> Planes:
        """Render three planes, with even luma size and any chroma size, at full strength."""
        y, u, v = planes
        size, guide, (drawn_y, drawn_u, drawn_v) = self.drawing(planes, color)
        settings = filter_settings(self._style, size, color)
        drawn_y = at_full_size(y, guide, drawn_y, settings, self._scratch())
        return drawn_y, fit(drawn_u, *u.shape), fit(drawn_v, *v.shape)

    def drawing(self, planes: Planes, color: ColorInfo) -> tuple[WorkingSize, Bytes, Planes]:
        """Return the generator's drawing before the guided filter: working size, the source's luma, drawing.

        Arguments are those of `_cartoon`; luma and drawing have working size.
        """
        y, u, v = planes
        size = self._working_size(*y.shape)
        guide = size.shrink(y)
        image = yuv_to_rgb(guide, size.shrink(u), size.shrink(v), color)
        with translate_oom(f"rendering {size.width}x{size.height} in style {self._style.name}"):
            drawn = size.crop(self._runner(size)(size.pad(image)))
        return size, guide, rgb_to_yuv(drawn, color)

    def _working_size(self, height: int, width: int) -> WorkingSize:
        scale = working_scale(self.facts.quality, self._detail, self._style.working_height, height, width)
        return WorkingSize.of(
            height, width, scale, self._style.size_multiple, margin_of(self._style.generator)
        )

    def _scratch(self) -> Scratch:
        """Return the calling thread's scratch."""
        scratch: Scratch | None = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._local.scratch = Scratch()
        return scratch


def _of(frame: Frame) -> Planes:
    return frame.y, frame.u, frame.v


def _planes(job: Callable[[], Samples]) -> Planes:
    y, u, v = job()
    return y, u, v


def _mix(source: Frame, cartoon: Planes, strength: float) -> Planes:
    y, u, v = (mixed(*pair, strength) for pair in zip(_of(source), cartoon, strict=True))
    return y, u, v


def _mixed(source: Frame, job: Callable[[], Samples], strength: float) -> Planes:
    return _mix(source, _planes(job), strength)
