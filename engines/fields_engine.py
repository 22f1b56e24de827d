"""The engine for generators of fields: planes in, planes out, and a look that may change between frames.

A frame's planes, in limited range, are extended to whole blocks, scaled down if the frame is larger than the
style was made for, and passed to the network as blocks. The fields are enlarged to the frame's size before
the look, so that lines and edges of patches, which are thresholds, are sharp at any size. A frame that is
smaller than the style was made for is enlarged first, and `full` enlarges the fields further; the drawing is
then reduced to the frame's size, which smooths its edges. Nothing is converted to RGB. The network does not
depend on the matrix; the look knows the colour of the output.

On a CPU, fields of rows that are the previous frame's are taken from there (`engines.strips`).
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import lru_cache, partial

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.backends.base import Runner
from engines.backends.frame_runner import fields_task
from engines.common.memory import translate_oom
from engines.engine import RGB_COLOR, Drawn, Engine, Setup, mixed
from engines.export.tasks import Samples
from engines.frame import ColorInfo, Frame, Planes
from engines.frame_dedup import PendingDrawing
from engines.generators import REACH_BLOCKS
from engines.imaging.field_blocks import FieldPlanes, pack, unpack
from engines.imaging.local_contrast import with_local_contrast
from engines.imaging.working_size import BlockSize, extend, field_scale, field_size, fit, reduce
from engines.looks.look import Look
from engines.looks.renderer import LookRenderer
from engines.registry.style import Style
from engines.strips import Strip, Strips, changed_block_rows

MAX_RENDERERS = 3
"""Renderers that are kept, by look, size and colour: the current, the previous, and that of a still image."""
RendererKey = tuple[Look, ColorInfo, int, int, float, tuple[int, int]]


class FieldsEngine(Engine):
    """Renders with a generator of fields; the temporal filter works on fields, before the look."""

    look: Look
    """May be set at any time; applies to frames submitted afterwards."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        assert setup.style.look is not None, "open_engine rejects networks without a look"
        self.look = setup.style.look
        self._renderers: dict[RendererKey, LookRenderer] = {}
        self._making = threading.Lock()
        self._strips: Strips | None = None
        self._last_fields: PendingDrawing[FieldPlanes] | None = None
        """At working size, of the frame in `_last`; not on a device."""

    def fields(self, frame: Frame) -> FieldPlanes:
        """Return the paint and ink of a frame before the look, at the size of the frame or more."""
        size = self._working_size(frame.height, frame.width)
        return _drawable(self._fields(_planes(frame), frame.color), size)

    @property
    def own_look(self) -> Look:
        """The style's look, which is the initial `look`."""
        assert self._style.look is not None, "open_engine rejects networks without a look"
        return self._style.look

    def looks(self, frame: Frame, looks: Iterable[Look]) -> Iterator[Frame]:
        """Yield a frame in each of several looks, at full strength, with a single run of the network."""
        fields = self._fields(_planes(frame), frame.color)
        for look in looks:
            y, u, v = self._finished(_planes(frame), frame.color, fields, look)
            yield dataclasses.replace(frame, y=y, u=u, v=v)

    def _finish(self, drawn: Drawn) -> Frame:
        """Filter fields and apply their look; see `Engine._finish`."""
        if drawn.fields is not None:
            assert drawn.look is not None, "fields have a look"
            fields, source = drawn.fields, drawn.source
            steady = self.stabilizer.hold(source.y, fields, source.color)
            finished = self._finished(_planes(source), source.color, steady, drawn.look)
            drawn = dataclasses.replace(drawn, planes=_mixed(_planes(source), finished, drawn.strength))
        return super()._finish(drawn)

    def prepare(self, width: int, height: int, color: ColorInfo) -> None:
        """Prepare the device and the look's tables and patterns; see `Engine.prepare`."""
        if self._device is not None:
            self._device.open(fields_task(self._working_size(height, width)))
        self._renderer(self.look, color, height, width)

    def close(self) -> None:
        """Free the models; see `Engine.close`."""
        if self._strips is not None:
            self._strips.close()
        self._last_fields = None
        super().close()

    def switch(self, style: Style) -> bool:
        """Render another look with the same network; see `Engine.switch`."""
        forms = [form for form in (style, style.lite) if form is not None]
        mine = self._style
        same = [f for f in forms if (f.network_folder, f.sha256) == (mine.network_folder, mine.sha256)]
        if not same or style.look is None or style.working_height != mine.working_height:
            return False
        self._style, self.look = same[0], style.look
        self.facts = dataclasses.replace(self.facts, style=style.name)
        return True

    def _asked(self, strength: float) -> tuple[object, ...]:
        """Return what a drawing depends on; fields are the same for every look and strength."""
        return () if self.stabilizer.amount else (strength, self.look)

    def _job(self, frame: Frame, strength: float) -> Callable[[], Planes | FieldPlanes]:
        """Return the job of a frame. A device starts now; the CPU's part before it is also done now."""
        planes, color = _planes(frame), frame.color
        size = self._working_size(frame.height, frame.width)
        if self._device is not None:
            small = self._seen(planes, color, size)
            drawn = self._device.start((pack(small),), fields_task(size))
            fields: Callable[[], FieldPlanes] = partial(_fetched, drawn, small)
        else:
            self._last_fields = self._pending_fields(frame, size)
            fields = self._last_fields.planes
        if self.stabilizer.amount:
            return fields
        return partial(self._draw, planes, color, fields, self.look, strength)

    def _giving(
        self, frame: Frame, strength: float, drawing: PendingDrawing[Planes | FieldPlanes]
    ) -> Callable[[], Drawn]:
        return partial(_drawn, frame, strength, drawing, self.look)

    def _draw(
        self,
        planes: Planes,
        color: ColorInfo,
        fields: Callable[[], FieldPlanes],
        look: Look,
        strength: float,
    ) -> Planes:
        finished = self._finished(planes, color, fields(), look)
        return _mixed(planes, finished, strength)

    def _pending_fields(self, frame: Frame, size: BlockSize) -> PendingDrawing[FieldPlanes]:
        """Return the fields of a frame at working size, which may take some rows from the previous ones."""
        before, changed = self._last_fields, self._last.changed_rows(frame)
        if changed is not None and before is not None and not any(changed):
            return before  # another look or strength of the same frame
        # Sums of floats may depend on the size of the strip, and local contrast on all of the frame.
        if self.facts.precision != "int8" or self._clarity:
            return PendingDrawing(partial(self._whole, frame, size))
        if self._strips is None or self._strips.size != size:
            reach = REACH_BLOCKS[self._style.generator]
            self._strips = Strips(self._open_at, size, reach, self._style.size_multiple)
        if changed is None or before is None:
            return PendingDrawing(partial(self._whole, frame, size))
        planned = self._strips.plan(changed_block_rows(changed, frame.height, size))
        if planned is None:
            return PendingDrawing(partial(self._whole, frame, size, self._strips, self._strips.wanted()))
        self.partly_reused += 1
        return PendingDrawing(partial(self._partly, frame, size, *planned, before))

    def _whole(
        self, frame: Frame, size: BlockSize, strips: Strips | None = None, wanted: int | None = None
    ) -> FieldPlanes:
        """Compute all rows, with which the runner of a strip of the height `wanted` is opened."""
        small = self._seen(_planes(frame), frame.color, size)
        samples = pack(small)
        with self._translate_oom(size):
            blocks = self._runner(size)(samples)
        if strips is not None and wanted is not None:
            strips.start_opening(wanted, samples, blocks.copy())
        return unpack(blocks, small)

    def _partly(
        self, frame: Frame, size: BlockSize, strip: Strip, runner: Runner, before: PendingDrawing[FieldPlanes]
    ) -> FieldPlanes:
        """Compute the rows of a strip; the others are those of the previous frame."""
        small = strip.of(_small(_planes(frame), frame.color, size))
        with self._translate_oom(size):
            fields = unpack(runner(pack(small)), small)
        return strip.inserted(fields, before.planes())

    def _still(self, planes: Planes) -> Planes:
        y, u, v = planes
        height, width = y.shape
        small = (y, fit(u, height // 2, width // 2), fit(v, height // 2, width // 2))
        finished = self._draw(small, RGB_COLOR, partial(self._fields, small, RGB_COLOR), self.look, 1)
        return finished[0], fit(finished[1], height, width), fit(finished[2], height, width)

    def _fields(self, planes: Planes, color: ColorInfo) -> FieldPlanes:
        """Return the fields of 4:2:0 planes of any size, at working size."""
        size = self._working_size(*planes[0].shape)
        small = self._seen(planes, color, size)
        with self._translate_oom(size):
            return unpack(self._runner(size)(pack(small)), small)

    def _seen(self, planes: Planes, color: ColorInfo, size: BlockSize) -> Planes:
        """Return planes as the network sees them."""
        y, u, v = _small(planes, color, size)
        return with_local_contrast(y, self._clarity, full_range=False), u, v

    def _translate_oom(self, size: BlockSize) -> AbstractContextManager[None]:
        return translate_oom(f"rendering {size.width}x{size.height} in style {self._style.name}")

    def _finished(self, planes: Planes, color: ColorInfo, fields: FieldPlanes, look: Look) -> Planes:
        """Apply a look to fields of working size at full strength. Return planes of the source's sizes."""
        height, width = planes[0].shape
        size = self._working_size(height, width)
        y, u, v = self._renderer(look, color, height, width)(_drawable(fields, size))
        if size.oversamples:
            half = size.height // 2, size.width // 2
            y, u, v = reduce(y, size.height, size.width), reduce(u, *half), reduce(v, *half)
        return y[:height, :width], u, v

    def _renderer(self, look: Look, color: ColorInfo, height: int, width: int) -> LookRenderer:
        """Return the renderer for frames of a size; the most recently used ones are kept."""
        size = self._working_size(height, width)
        at_full = field_scale("full", None, self._style.working_height, height, width)
        enlargement = max(1.0, min(1.0, at_full) / self._scale(height, width))
        drawn = size.drawn_height, size.drawn_width
        key = (look, color, size.source_height, size.source_width, enlargement, drawn)
        with self._making:
            renderer = self._renderers.pop(key, None)
            if renderer is None:
                renderer = LookRenderer(*key)
                while len(self._renderers) >= MAX_RENDERERS:
                    self._renderers.pop(next(iter(self._renderers)))
            self._renderers[key] = renderer
        return renderer

    def _working_size(self, height: int, width: int) -> BlockSize:
        style = self._style
        return field_size(
            self.facts.quality, self._detail, style.working_height, height, width, style.size_multiple
        )

    def _scale(self, height: int, width: int) -> float:
        return field_scale(self.facts.quality, self._detail, self._style.working_height, height, width)


def _small(planes: Planes, color: ColorInfo, size: BlockSize) -> Planes:
    """Return 4:2:0 planes of any size in limited range, scaled to working size."""
    y, u, v = _limited(planes) if color.full_range else planes
    if size.enlarges:
        source_half = size.source_height // 2, size.source_width // 2
        y = fit(extend(y, size.height, size.width), size.source_height, size.source_width)
        u, v = fit(u, *source_half), fit(v, *source_half)
    half = size.block_height // 2, size.block_width // 2
    y, u, v = extend(y, size.block_height, size.block_width), extend(u, *half), extend(v, *half)
    small_half = size.working_height // 2, size.working_width // 2
    return reduce(y, size.working_height, size.working_width), reduce(u, *small_half), reduce(v, *small_half)


def _drawable(fields: FieldPlanes, size: BlockSize) -> FieldPlanes:
    """Return fields of working size, scaled and cropped to the source's size."""
    half = size.block_height // 2, size.block_width // 2
    ends = slice(size.source_height), slice(size.source_width)
    half_ends = slice(size.source_height // 2), slice(size.source_width // 2)
    return FieldPlanes(
        fit(fields.y, size.block_height, size.block_width)[ends],
        fit(fields.u, *half)[half_ends],
        fit(fields.v, *half)[half_ends],
        fit(fields.ink, size.block_height, size.block_width)[ends],
    )


def _fetched(drawn: Callable[[], Samples], small: Planes) -> FieldPlanes:
    """Wait for a device and return its fields."""
    (blocks,) = drawn()
    return unpack(blocks, small)


def _planes(frame: Frame) -> Planes:
    return frame.y, frame.u, frame.v


def _drawn(frame: Frame, strength: float, drawing: PendingDrawing[Planes | FieldPlanes], look: Look) -> Drawn:
    drawn = drawing.planes()
    if isinstance(drawn, FieldPlanes):
        return Drawn(frame, strength, None, drawn, look)
    return Drawn(frame, strength, drawn)


def _mixed(source: Planes, cartoon: Planes, strength: float) -> Planes:
    y, u, v = (mixed(*pair, strength) for pair in zip(source, cartoon, strict=True))
    return y, u, v


@lru_cache(maxsize=1)
def _limited_tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return tables from full to limited range: 16 + 219 y / 255 for luma, 128 + 224 c / 255 for chroma."""
    codes = np.arange(256)
    luma, chroma = 16 + codes * (219 / 255), 128 + (codes - 128) * (224 / 255)
    return np.rint(luma).astype(np.uint8), np.rint(chroma).astype(np.uint8)


def _limited(planes: Planes) -> Planes:
    luma, chroma = _limited_tables()
    y, u, v = (
        np.asarray(cv2.LUT(plane, table), np.uint8)
        for plane, table in zip(planes, (luma, chroma, chroma), strict=True)
    )
    return y, u, v
