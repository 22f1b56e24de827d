"""The black bars of a film, above and below or beside the picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MAX_BAR_LUMA = 12
"""Luma, 0..255, up to which a sample is part of a bar: black with a compressor's noise."""
MIN_LIT_LUMA = 60
"""A picture without anything this bright tells nothing: its own darkness looks like a bar."""
MIN_BLACK_SHARE = 0.9
"""Share of the pictures in which a bar has to be black: titles and logos may lie in it now and then."""
MAX_STRAY_SHARE = 0.01
"""Share of a line that may be brighter all the same."""
MAX_BAR_SHARE = 0.4
"""Of the picture's height or width: more than this on one side is no bar."""
MIN_FRAMES = 3


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a picture, in pixels; `bottom` and `right` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def width(self) -> int:
        """Pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels."""
        return self.bottom - self.top

    def shaped(self, ratio: float) -> Box:
        """The largest box of that width over height in the middle of this one."""
        width = min(self.width, round(self.height * ratio))
        height = min(self.height, round(self.width / ratio))
        top, left = self.top + (self.height - height) // 2, self.left + (self.width - width) // 2
        return Box(top, left, top + height, left + width)


def find_bars(lumas: Iterable[NDArray[np.uint8]]) -> Box | None:
    """What lies within the bars of pictures (H x W, 0 black to 255 white) from all over a film.

    None when fewer than three of them are bright enough to tell; the whole picture when there are no bars.
    """
    rows: list[NDArray[np.bool_]] = []
    columns: list[NDArray[np.bool_]] = []
    for luma in lumas:
        bright = luma > MAX_BAR_LUMA
        if (luma >= MIN_LIT_LUMA).mean() < MAX_STRAY_SHARE:
            continue
        rows.append(bright.mean(1) <= MAX_STRAY_SHARE)
        # Beside the picture only: seen over the whole height, letterboxes would dilute what is lit.
        lit = ~rows[-1]
        columns.append(bright[lit].mean(0) <= MAX_STRAY_SHARE)
    if len(rows) < MIN_FRAMES:
        return None
    top, bottom = _inner(np.mean(rows, 0) >= MIN_BLACK_SHARE)
    left, right = _inner(np.mean(columns, 0) >= MIN_BLACK_SHARE)
    return Box(top, left, bottom, right)


def _inner(black: NDArray[np.bool_]) -> tuple[int, int]:
    """Begin and end of what remains of a line when the black at both its ends is taken away."""
    size = len(black)
    lit = np.flatnonzero(~black)
    first, last = (int(lit[0]), int(lit[-1]) + 1) if len(lit) else (0, size)
    most = MAX_BAR_SHARE * size
    return (first if first <= most else 0), (last if size - last <= most else size)
