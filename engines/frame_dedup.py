"""Finding what a frame shares with the previous one: slides, static cameras, screens, repeated frames."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import cv2
import numpy as np

from engines.frame import Frame, Plane, Planes
from engines.imaging.field_blocks import FieldPlanes

BAND_ROWS = 32
"""Rows that are compared at a time. Moving video differs in the first and the last, within microseconds."""
Rows = tuple[int, int]
"""A range of rows: the first one, and the one after the last."""

Drawn = TypeVar("Drawn", bound=Planes | FieldPlanes)
"""A cartoon's planes, or fields."""


class PendingDrawing(Generic[Drawn]):
    """The drawing of a frame, computed by the first thread that needs it."""

    def __init__(self, draw: Callable[[], Drawn]) -> None:
        self._draw: Callable[[], Drawn] | None = draw
        self._drawn: Drawn | None = None
        self._lock = threading.Lock()

    def planes(self) -> Drawn:
        """Return the read-only result, which several frames may share.

        An exception of the drawing is raised in every call.
        """
        with self._lock:
            if self._drawn is None:
                assert self._draw is not None, "kept until it has succeeded"
                drawn = self._draw()
                planes = (drawn.y, drawn.u, drawn.v, drawn.ink) if isinstance(drawn, FieldPlanes) else drawn
                for plane in planes:
                    plane.flags.writeable = False
                self._drawn = drawn
                self._draw = None  # which also frees the source's planes
            return self._drawn


class LastFrameCache(Generic[Drawn]):
    """The last frame and its drawing. Frames are compared by samples and colour, not by time."""

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._drawing: PendingDrawing[Drawn] | None = None

    def drawing_of(self, frame: Frame) -> PendingDrawing[Drawn] | None:
        """Return the last drawing if `frame` equals the last frame, sample by sample; else None."""
        changed = self.changed_rows(frame)
        return self._drawing if changed is not None and not any(changed) else None

    def changed_rows(self, frame: Frame) -> Rows | None:
        """Return the rows of luma outside of which `frame` equals the last frame, sample by sample.

        Rows of chroma count as the two rows of luma that they belong to. The range is (0, 0) if the frames
        are equal. Return None if there is no last frame or if its size or colour differs.
        """
        last = self._frame
        if last is None or frame.color != last.color or frame.y.shape != last.y.shape:
            return None
        u, v = changed_rows(frame.u, last.u), changed_rows(frame.v, last.v)
        ranges = [changed_rows(frame.y, last.y), *((2 * first, 2 * end) for first, end in (u, v))]
        ranges = [rows for rows in ranges if any(rows)]
        if not ranges:
            return 0, 0
        return min(first for first, _ in ranges), min(frame.height, max(end for _, end in ranges))

    def remember(self, frame: Frame, drawing: PendingDrawing[Drawn]) -> None:
        """Store a frame and its drawing.

        Read-only planes are kept, because they do not change; writable ones are copied.
        """
        self.forget()  # so that nothing is compared with an older frame if there is no memory for the copies
        kept = [getattr(frame, plane) for plane in "yuv"]
        y, u, v = (plane.copy() if plane.flags.writeable else plane for plane in kept)
        self._frame = Frame(y, u, v, frame.pts, frame.time_base, color=frame.color)
        self._drawing = drawing

    def forget(self) -> None:
        """Drop the frame and its drawing."""
        self._frame = self._drawing = None


def changed_rows(new: Plane, old: Plane) -> Rows:
    """Return the smallest range of rows outside of which two planes of one shape are equal."""
    height = len(new)
    above = next(
        (top for top in range(0, height, BAND_ROWS) if _differ(new, old, top, top + BAND_ROWS)), None
    )
    if above is None:
        return 0, 0
    below = next(
        end for end in range(height, 0, -BAND_ROWS) if _differ(new, old, max(0, end - BAND_ROWS), end)
    )
    start = max(0, below - BAND_ROWS)
    first, last = (
        top + np.flatnonzero((new[top:end] != old[top:end]).any(axis=1))[at]
        for at, top, end in ((0, above, above + BAND_ROWS), (-1, start, below))
    )
    return int(first), int(last) + 1


def _differ(new: Plane, old: Plane, top: int, end: int) -> bool:
    """Return whether rows `top` to `end` differ. OpenCV's norm needs a third of the time of NumPy's `!=`."""
    return cv2.norm(new[top:end], old[top:end], cv2.NORM_INF) != 0
