"""Strips: the rows that a network computes if a frame's other rows equal the previous frame's.

A generator of fields sees `reach` blocks in every direction. So fields differ from the previous frame's at
most `reach` rows above and below the rows that changed. The network needs as many rows again, whose own
fields are thrown away. What remains equals the fields of the whole frame, bit by bit.

Runners have a fixed size, so a strip has one of a few heights. Its runner is opened in a thread of its own
after `OPEN_AFTER` frames in a row that would have gained from it. Opening costs about what those frames would
have saved, and no frame waits for it, which matters live. The runner then draws strips of the frame that
caused its opening. It is used only if they equal that frame's fields in every bit, because the graph of a
style from elsewhere may see further than its generator.

Only int8 graphs are run in strips. Sums of integers are exact; those of floats are made in another order at
another size.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from engines.backends.base import Runner
from engines.common.memory import translate_oom
from engines.errors import StreamtoonError
from engines.frame import Plane, Planes
from engines.frame_dedup import Rows
from engines.imaging.field_blocks import BLOCK, Blocks, FieldPlanes
from engines.imaging.working_size import BlockSize

SHARES = Fraction(1, 2), Fraction(3, 4)
"""Heights of strips, as shares of the frame's; a runner of each needs as much of the whole frame's memory."""
OPEN_AFTER = 30
"""Frames in a row that would have gained from a strip, before its runner is opened."""


@dataclass(frozen=True, slots=True)
class Strip:
    """A part of a frame, in rows of blocks."""

    top: int
    """First row that the network is given."""
    height: int
    """Number of rows that it is given."""
    first: int
    """First row whose fields are taken from it; the rows before are the previous frame's."""
    end: int
    """Row after the last of these."""

    def of(self, planes: Planes) -> Planes:
        """Return the part of 4:2:0 planes that the network is given, as views."""
        y, u, v = (
            plane[self.top * rows : (self.top + self.height) * rows]
            for plane, rows in zip(planes, (BLOCK, BLOCK // 2, BLOCK // 2), strict=True)
        )
        return y, u, v

    def inserted(self, new: FieldPlanes, old: FieldPlanes) -> FieldPlanes:
        """Return `old`, the previous frame's fields, with the rows of `new`, the strip's, that count."""

        def joined(part: Plane, whole: Plane, rows: int) -> Plane:
            first, end, top = self.first * rows, self.end * rows, self.top * rows
            return np.concatenate((whole[:first], part[first - top : end - top], whole[end:]))

        return FieldPlanes(
            joined(new.y, old.y, BLOCK),
            joined(new.u, old.u, BLOCK // 2),
            joined(new.v, old.v, BLOCK // 2),
            joined(new.ink, old.ink, BLOCK),
        )


def changed_block_rows(changed: Rows, frame_height: int, size: BlockSize) -> Rows:
    """Return the rows of blocks at working size outside of which nothing changed.

    Args:
        changed: Rows of the frame's luma outside of which nothing changed, at least one.
        frame_height: Height of the frame, pixels.
        size: The frame's sizes.
    """
    first, end = changed
    if end == frame_height:  # which is repeated below the frame
        end = size.height + size.block_height - size.source_height
    scale = Fraction(size.source_height, size.height) * Fraction(size.working_height, size.block_height)
    if scale != 1:
        # A pixel of chroma, at any size, spans two of luma, and scaling mixes it with its neighbours.
        first, end = math.floor((first - 4) * scale) - 4, math.ceil((end + 4) * scale) + 4
    return max(0, first // BLOCK), min(size.given[0], -(-end // BLOCK))


class Strips:
    """Plans strips for frames of one size and opens their runners.

    One thread at a time may call `plan` and `close`; `start_opening` may be called by any.
    """

    def __init__(
        self, open_at: Callable[[int, int], Runner], size: BlockSize, reach: int, multiple: int
    ) -> None:
        """Make the plans of a network that sees `reach` blocks; its rows are multiples of `multiple`."""
        self.size = size
        self._open_at, self._reach, self._multiple = open_at, reach, multiple
        self._rows, self._columns, _ = size.given
        heights = {int(self._rows * share) // multiple * multiple for share in SHARES}
        self._gained = dict.fromkeys(sorted(heights - {0, self._rows}), 0)
        self._runners: dict[int, Runner] = {}
        self._asked: set[int] = set()
        self._is_opening = False
        self._opener: threading.Thread | None = None

    def plan(self, changed: Rows) -> tuple[Strip, Runner] | None:
        """Return the strip that contains all changes and its runner; None if the whole frame must be drawn.

        Args:
            changed: Rows of blocks outside of which a frame equals the previous one.
        """
        fitting = self._fitting(changed)
        for height, count in self._gained.items():
            self._gained[height] = count + 1 if height in fitting else 0
        pairs = ((strip, self._runners.get(height)) for height, strip in fitting.items())
        return next(((strip, runner) for strip, runner in pairs if runner is not None), None)

    def wanted(self) -> int | None:
        """Return the height of a strip whose runner shall be opened with the fields of this frame.

        A height is returned once, and never before the last one has been opened.
        """
        height = next((height for height, count in self._gained.items() if count >= OPEN_AFTER), None)
        if height is None or height in self._asked or self._is_opening:
            return None
        self._asked.add(height)
        self._is_opening = True
        return height

    def start_opening(self, height: int, samples: Blocks, fields: Blocks) -> None:
        """Start to open the runner of a height. It is used if it gives the fields of a frame's samples."""
        self._opener = threading.Thread(
            target=self._open, args=(height, samples, fields), name="streamtoon-strip"
        )
        self._opener.start()

    def close(self) -> None:
        """Wait until no runner is being opened, and free all."""
        if self._opener is not None:
            self._opener.join()
        while self._runners:
            self._runners.popitem()[1].close()

    def _fitting(self, changed: Rows) -> dict[int, Strip]:
        """Return a strip of every height that contains all changes, the smallest height first."""
        first, end = max(0, changed[0] - self._reach), min(self._rows, changed[1] + self._reach)
        above, below = max(0, first - self._reach), min(self._rows, end + self._reach)
        fitting = {}
        for height in self._gained:
            top = min(above, self._rows - height) // self._multiple * self._multiple
            if top + height >= below:
                fitting[height] = Strip(top, height, first, end)
        return fitting

    def _open(self, height: int, samples: Blocks, fields: Blocks) -> None:
        # Memory may be short, or a graph from elsewhere has a fixed size: frames are drawn whole as before.
        with suppress(StreamtoonError), translate_oom(f"a strip of {height} rows"):
            runner = self._open_at(height, self._columns)
            if all(self._equal(runner, height, top, samples, fields) for top in self._places(height)):
                self._runners[height] = runner
            else:
                runner.close()
        self._is_opening = False

    def _places(self, height: int) -> tuple[int, int, int]:
        """Return the top, a middle and the last place of a strip."""
        last = self._rows - height
        return 0, last // 2 // self._multiple * self._multiple, last

    def _equal(self, runner: Runner, height: int, top: int, samples: Blocks, fields: Blocks) -> bool:
        """Return whether a strip's fields equal those of the whole frame where it sees as much."""
        first = 0 if top == 0 else top + self._reach
        end = self._rows if top + height == self._rows else top + height - self._reach
        drawn = runner(samples[top : top + height])
        return np.array_equal(drawn[first - top : max(first, end) - top], fields[first : max(first, end)])
