"""Find the black bars of a film, above and below or on both sides of the image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_BAR_LUMA = 12
"""Largest luma of a bar, 0..255: black with compression noise."""
MIN_LIT_LUMA = 60
"""A frame without anything this bright is ignored: its own dark areas look like bars."""
MIN_BLACK_SHARE = 0.9
"""Least share of the frames in which a bar is black. Titles and logos may cover it at times."""
MAX_STRAY_SHARE = 0.01
"""Largest share of brighter pixels in a line of a bar."""
MAX_BAR_SHARE = 0.4
"""Largest share of the frame's height or width. A larger dark area on one side is not a bar."""
MIN_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a frame in pixels. `bottom` and `right` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.bottom - self.top

    def shaped(self, ratio: float) -> Box:
        """Return the largest centred box with that ratio of width to height."""
        width = min(self.width, round(self.height * ratio))
        height = min(self.height, round(self.width / ratio))
        top, left = self.top + (self.height - height) // 2, self.left + (self.width - width) // 2
        return Box(top, left, top + height, left + width)


def find_bars(lumas: Iterable[NDArray[np.uint8]]) -> Box | None:
    """Return the area inside the bars of frames (H x W, 0 black to 255 white) from all parts of a film.

    Returns None if fewer than three of them are bright enough, and the whole frame if there are no bars.
    """
    rows: list[NDArray[np.bool_]] = []
    columns: list[NDArray[np.bool_]] = []
    for luma in lumas:
        bright = luma > MAX_BAR_LUMA
        if (luma >= MIN_LIT_LUMA).mean() < MAX_STRAY_SHARE:
            continue
        rows.append(bright.mean(1) <= MAX_STRAY_SHARE)
        # At the sides, only rows inside the frame count: letterbox bars would lower the share of bright
        # pixels.
        lit = ~rows[-1]
        columns.append(bright[lit].mean(0) <= MAX_STRAY_SHARE)
    if len(rows) < MIN_FRAMES:
        return None
    top, bottom = _inner(np.mean(rows, 0) >= MIN_BLACK_SHARE)
    left, right = _inner(np.mean(columns, 0) >= MIN_BLACK_SHARE)
    return Box(top, left, bottom, right)


def _inner(black: NDArray[np.bool_]) -> tuple[int, int]:
    """Return start and end of a line without the black at both its ends."""
    size = len(black)
    lit = np.flatnonzero(~black)
    first, last = (int(lit[0]), int(lit[-1]) + 1) if len(lit) else (0, size)
    most = MAX_BAR_SHARE * size
    return (first if first <= most else 0), (last if size - last <= most else size)
