"""The details of a drawing: short lines that are left out, and faint ones that are drawn after all.

The ink response says where a line may be. It cannot say whether a draughtsman would draw it: the ripples of
water, the grains of sand and the rings that differences of Gaussians draw around stars have a strong
response. A line is left out here if it is short and lies among many others or next to a small light. Eyes and
mouths of small heads are as short, so the colours of skin are handled with more care: lines of what is dark
stay, and those around the light on a nose or a cheek, where nothing is dark, are left out. What is faint
there gets more ink, too: in dim light, the response of an eye often ends just below the threshold of lines.
So does the outline of a white cup on a white cloth. What is faint but long is a line as well, an idea of the
hysteresis of Canny (1986), which keeps faint edges next to strong ones.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import cv2
import numpy as np

from engines.frame import Plane
from engines.imaging.field_blocks import INK_THRESHOLD, FieldPlanes
from engines.looks.look import Look
from engines.looks.patterns import scale_of
from engines.looks.surroundings import Share, cell_side, cells, enlarged, grid_size, mean_around, ramp
from engines.looks.tables import CODES, Curve, to_table

FINE_STEP, COARSE_STEP = 2, 8
"""Sides of the cells in which lines and features are measured, and their surroundings, in pixels of a frame
with a short side of 720.
"""
INK_DIRECTIONS, LIGHT_DIRECTIONS = 8, 4
"""Directions in which a line, or a bright stroke, may run."""
VISIBLE = 30
"""Codes of ink above the threshold from which a line in a cell counts in full."""
CROWD_WINDOW = 15
"""Side of the square in which short lines and features are counted, in coarse cells: 120 pixels."""
CROWD = (0.03, 0.065)
"""Shares of it that short lines cover: from the first the weakest are left out, from the second all that are
not `CROWD_CODES` above the threshold.
"""
CROWD_CODES = 60
"""Most codes of ink that short lines lose in a crowd. About three tenths of them are stronger, and stay."""
SKIN_CROWD = 0.02
"""What these shares are higher by in the colours of skin."""
FAINT_INK = (95, 130)
"""Codes of ink of a line that is faint but long: from the first it gains some, from the second it becomes
`DRAWN_INK`. Noise has fewer.
"""
DRAWN_INK = 170
"""Codes of ink that make a line of full strength in the shipped looks."""
FAINT_SQUARE = np.ones((5, 5), np.uint8)
"""Fine cells around a line: it gains nothing if there is a stronger one."""
LIGHT_RATIO = 1.5
LIGHT_CODES = (20, 50)
"""A small light has this many codes of luma more than `LIGHT_RATIO` times its surroundings: from the first it
counts partly, from the second in full. So it shines in the dark; the glints of things in daylight do not.
"""
LIGHT_WINDOW = 3
"""Side of the square in which lights are looked for, in coarse cells."""
LIGHTS = (0.002, 0.008)
"""Shares of it that lights cover: up to the first no line is left out, from the second all short ones."""
SKIN_LIGHTS = 0.012
"""What these shares are higher by in the colours of skin, where the white of an eye is no light."""
FEATURE_SIZE = 18
"""Largest width in pixels (short side 720) of a feature that is deepened."""
FAINT = (3, 15)
"""Codes of luma by which a feature is darker than its surroundings: from the first it is deepened, from the
second by no more.
"""
FEATURE_CROWD = (0.15, 0.4)
"""Mean faintness around, as a share of the most: up to the first, all features are deepened, from the second
none. Rock and fur have more of it than faces.
"""
DEEPEST = 2.0
"""Codes of luma that `features` 1 takes away per code within `FAINT`."""
INKED = 2
"""Codes of ink that a feature gains per code of luma that it loses. So what is almost a line becomes one."""
SKIN_AXIS = (-0.530, 0.848)
"""Direction of the hue of skin in the plane of Cb and Cr."""
SKIN_WINDOW = 3
SKIN_SHARE = (0.15, 0.5)
"""Side of a square in coarse cells, and its shares in the colours of skin from no to full care."""


class Details:
    """Leaves out short lines and deepens faint features. Any number of threads may call it."""

    def __init__(self, look: Look, height: int, width: int) -> None:
        """Prepare a look for which `changes_details` holds, for frames of one size."""
        side = cell_side(FINE_STEP, height, width)
        self._fine, self._full = grid_size(side, height, width), (width, height)
        self._coarse = grid_size(cell_side(COARSE_STEP, height, width), height, width)
        self._cell = np.ones((side, side), np.uint8)
        half_cells = scale_of(height, width) / (2 * side)
        reach = max(1, round(look.line_length * half_cells)) if look.line_length else 0
        turns = range(INK_DIRECTIONS if _changes_lines(look) else 0)
        self._strokes = [_stroke(reach, turn / INK_DIRECTIONS) for turn in turns]
        self._bright = [_stroke(reach, turn / LIGHT_DIRECTIONS) for turn in range(LIGHT_DIRECTIONS)]
        self._square = np.ones((2 * max(1, round(FEATURE_SIZE * half_cells)) + 1,) * 2, np.uint8)
        self._unseen = np.full(self._fine[::-1], INK_THRESHOLD, np.uint8)
        self._deepening = DEEPEST * look.features
        self._given = to_table(look.faint_lines * missing_ink()) if look.faint_lines else None
        self._buffers = threading.local()

    def __call__(
        self, fields: FieldPlanes, y: Plane, new_y: Plane, new_ink: Plane, spare: Plane
    ) -> tuple[Plane, Plane]:
        """Return the paint's luma with deeper features, and the ink response of the lines that are drawn.

        Args:
            fields: The fields.
            y: Their luma, or one without speckle.
            new_y: Room for the luma; may be `y`, unless that belongs to the fields.
            new_ink: Room for the ink response.
            spare: A plane of the same size, which is overwritten.
        """
        luma, plain, *room = self._own_buffers()
        cells(fields.y, self._fine, luma)
        skin, ink = self._skin(fields), fields.ink
        plain.fill(0)
        if self._deepening and skin.any():
            self._darker(luma, skin, plain, room)
            deeper = enlarged(room[0], self._full, spare)
            y = np.asarray(cv2.subtract(y, deeper, new_y), np.uint8)
            ink = np.asarray(cv2.addWeighted(ink, 1, deeper, INKED, 0, new_ink), np.uint8)
        if self._strokes:
            taken, given = self._lines(fields.ink, luma, skin, plain, room, spare)
            if given is not None:
                ink = np.asarray(cv2.add(ink, enlarged(given, self._full, spare), new_ink), np.uint8)
            if taken is not None:
                ink = np.asarray(cv2.subtract(ink, enlarged(taken, self._full, spare), new_ink), np.uint8)
        return y, ink

    def _own_buffers(self) -> list[Plane]:
        """Return six fine planes, which belong to this thread: memory of such a size is slow to come by."""
        if not hasattr(self._buffers, "planes"):
            self._buffers.planes = [np.empty(self._fine[::-1], np.uint8) for _ in range(6)]
        return list(self._buffers.planes)

    def _darker(self, luma: Plane, skin: Share, plain: Plane, room: list[Plane]) -> None:
        """Write what `features` takes away from luma to the first plane of `room`.

        Write to `plain` what it takes away from short lines: where a cell is skin and nothing is dark.
        """
        one, two, *_ = room
        cv2.morphologyEx(luma, cv2.MORPH_CLOSE, self._square, one)
        cv2.subtract(one, luma, one)
        faint = self._share(_between(one, *FAINT, out=one), CROWD_WINDOW, FAINT[1] - FAINT[0])
        care = np.asarray(skin * (1 - ramp(faint, *FEATURE_CROWD)), np.float32)
        self._weight(care, two)
        cv2.convertScaleAbs(two, plain, self._deepening / DEEPEST)
        plain *= one == 0
        cv2.multiply(one, two, one, scale=self._deepening / 255)

    def _lines(
        self, ink: Plane, luma: Plane, skin: Share, plain: Plane, room: list[Plane], spare: Plane
    ) -> tuple[Plane | None, Plane | None]:
        """Return the response that lines lose and gain in every fine cell; None for nothing."""
        small, long, one, two = room
        # The most of a cell, not the mean, which would lose thin lines.
        cv2.dilate(ink, self._cell, spare, (0, 0))
        cv2.resize(spare, self._fine, small, interpolation=cv2.INTER_NEAREST)
        _open(small, self._strokes, long, one)
        is_less = self._may_lose(small, long, luma, skin, one, two)
        taken = given = None
        if is_less or plain.any():
            cv2.subtract(small, long, small)
            taken = np.asarray(cv2.min(small, cv2.max(one, plain, one), small), np.uint8)
        if self._given is not None:
            # The most around a cell, so that the sides of a strong line do not gain: it would become wider.
            cv2.dilate(long, FAINT_SQUARE, two)
            given = np.asarray(cv2.LUT(two, self._given, two), np.uint8)
        return taken, given

    def _may_lose(
        self, small: Plane, long: Plane, luma: Plane, skin: Share, most: Plane, spare: Plane
    ) -> bool:
        """Write to `most` how many codes a short line may lose in every fine cell. Return False for none."""
        # Of a cell's line, the part that is seen and short.
        cv2.max(long, self._unseen, most)
        cv2.threshold(small, INK_THRESHOLD + VISIBLE, 0, cv2.THRESH_TRUNC, spare)
        crowd = self._share(cv2.subtract(spare, most, most), CROWD_WINDOW, VISIBLE)
        _open(luma, self._bright, most, spare)
        cv2.convertScaleAbs(most, most, LIGHT_RATIO)
        cv2.subtract(luma, most, most)
        _between(most, *LIGHT_CODES, out=most)
        lights = self._share(most, LIGHT_WINDOW, LIGHT_CODES[1] - LIGHT_CODES[0])
        codes = np.maximum(
            CROWD_CODES / 255 * ramp(crowd - SKIN_CROWD * skin, *CROWD),
            ramp(lights - SKIN_LIGHTS * skin, *LIGHTS),
        )
        self._weight(codes, most)
        return bool(codes.any())

    def _skin(self, fields: FieldPlanes) -> Share:
        """Return how far every coarse cell lies in the colours of skin.

        The hue of skin differs little between people: it lies near 122 degrees in the plane of Cb and Cr, the
        skin line of vectorscopes. Wood and sand have the same.
        """
        cb, cr = (cells(plane, self._coarse).astype(np.float32) - 128 for plane in (fields.u, fields.v))
        along, across = SKIN_AXIS[1] * cr + SKIN_AXIS[0] * cb, SKIN_AXIS[0] * cr - SKIN_AXIS[1] * cb
        # In full up to 17 degrees from that hue and none from 29 degrees; none in greys and in vivid colours.
        hue = np.clip(2.2 - 4 * np.abs(across) / np.maximum(along, 1), 0, 1)
        share = hue * np.clip((along - 5) / 6, 0, 1) * np.clip((62 - along) / 12, 0, 1)
        low, high = SKIN_SHARE
        return np.asarray(np.clip((mean_around(share, SKIN_WINDOW) - low) / (high - low), 0, 1), np.float32)

    def _share(self, plane: Any, window: int, most: int) -> Share:
        return np.asarray(mean_around(cells(plane, self._coarse), window) / most, np.float32)

    def _weight(self, share: Share, out: Plane) -> Plane:
        return enlarged(np.rint(255 * share).astype(np.uint8), self._fine, out)


def changes_details(look: Look) -> bool:
    """Return whether a look leaves out lines, draws faint ones, or deepens features."""
    return look.features > 0 or _changes_lines(look)


def _changes_lines(look: Look) -> bool:
    return look.line_opacity > 0 and (look.line_length > 0 or look.faint_lines > 0)


def missing_ink() -> Curve:
    """Return the codes that a long line lacks to be drawn, for every code of its ink; 0 for noise."""
    low, high = FAINT_INK
    return np.asarray(np.clip((CODES - low) / (high - low), 0, 1) * np.clip(DRAWN_INK - CODES, 0, None))


def _between(plane: Plane, low: int, high: int, out: Plane) -> Any:
    """Return codes above `low`, which becomes 0, limited to those at `high`."""
    black: Any = (low, 0, 0, 0)  # a cv2 scalar, missing in the stubs
    return cv2.threshold(cv2.subtract(plane, black, out), high - low, 0, cv2.THRESH_TRUNC, out)[1]


def _stroke(reach: int, turn: float) -> Plane:
    """Return a straight stroke of 2 x `reach` + 1 cells as a structuring element; `turn` is in half turns."""
    # Six decimals, so that half a cell is rounded in the same way everywhere.
    across, down = (round(part, 6) for part in (math.cos(math.pi * turn), math.sin(math.pi * turn)))
    steps = np.arange(-reach, reach + 1)
    rows, columns = (np.rint(steps * part).astype(int) for part in (down, across))
    # OpenCV is faster without empty rows and columns.
    stroke = np.zeros((2 * abs(rows[0]) + 1, 2 * abs(columns[0]) + 1), np.uint8)
    stroke[rows + abs(rows[0]), columns + abs(columns[0])] = 1
    return stroke


def _open(plane: Plane, strokes: list[Plane], out: Plane, spare: Plane) -> None:
    """Write to `out` what remains of a plane where one of the strokes fits in: long lines, and areas."""
    out.fill(0)
    for stroke in strokes:
        cv2.morphologyEx(plane, cv2.MORPH_OPEN, stroke, spare)
        cv2.max(out, spare, out)
