"""Motion-gated steadiness: where the source stands still, the drawing does too.

A generator answers noise in its input with strokes that come and go. Two remedies share one gate, which is
open where the source's luma stays near its own average over time. Elsewhere something has moved or the light
has changed, and what is new is let through as it is.

A finished cartoon is averaged over time, with a weight per sample, and the source by the same weights: what
is shown is never the average of two different things.

Fields are held before a look's thresholds, so that lines and edges of patches stay crisp. A sample keeps its
value until the new one differs by more than a margin, and then stays behind by that margin: the play operator
of Krasnosel'skii and Pokrovskii, "Systems with Hysteresis", 1989, chapter 1. Noise below the margin changes
nothing at all, nothing is blurred, and no sample is ever further from its new value than the margin.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Floats
from engines.frame import ColorInfo, Frame, Plane
from engines.imaging.field_blocks import FieldPlanes

MAX_PAST_WEIGHT = 0.9
"""Weight of a cartoon's past at amount 1: an average over about ten pictures."""
PAINT_MARGIN, INK_MARGIN = 10, 30
"""Code values that paint and ink response may differ from their new ones by, at amount 1."""
REFERENCE_WEIGHT = 0.5
"""Weight of the past in the luma that fields are gated by."""
STILL_DIFFERENCE, MOVED_DIFFERENCE = 1.0, 3.0
"""Code values of luma by which the source may depart from its average: all of the past, none of it."""
MIN_STILL_SHARE = 0.1
"""Share of the picture that stands still, below which it is another scene."""
DOWNSCALE = 4
"""What moves is looked for at so much less than the picture's size: a camera's noise is mostly gone there."""
BAND_SAMPLES = 1 << 16
"""Samples that are averaged at a time: what is computed with them stays in the processor's cache."""


class Stabilizer:
    """Called with pictures in their order. `amount` is 0, which touches nothing, to 1.

    Raises ValueError for another amount.
    """

    def __init__(self, amount: float) -> None:
        if not 0 <= amount <= 1:
            raise ValueError(f"amount is {amount}, expected 0 to 1")
        self.amount = amount
        self._source: Floats | None = None
        self._planes: list[Any] = []
        self._colour = ColorInfo()

    def __call__(self, source: Frame, cartoon: Frame) -> Frame:
        """`cartoon` of `source`, made steady: same size, time and colour.

        Begins anew at a scene's cut, and where the size or the colour changes. A cartoon that is the source
        itself stays as it is.
        """
        if not self.amount or cartoon is source:
            self.reset()
            return cartoon
        new = (cartoon.y, cartoon.u, cartoon.v)
        share = MAX_PAST_WEIGHT * self.amount
        still = self._still(source.y, new, cartoon.colour, share)
        if still is None:
            self._planes = [plane.astype(np.float32) for plane in new]
            return cartoon
        weight = still * np.float32(share)
        fitted = {shape: _fit(weight, shape) for shape in {plane.shape for plane in new}}
        y, u, v = (
            _move(past, plane, fitted[plane.shape]) for past, plane in zip(self._planes, new, strict=True)
        )
        return dataclasses.replace(cartoon, y=y, u=u, v=v)

    def hold(self, luma: Plane, fields: FieldPlanes, colour: ColorInfo) -> FieldPlanes:
        """The fields of a picture with that luma, made steady.

        Begins anew as a call does. The fields given stay as they are; those returned are valid until the next
        call, and must not be written to.
        """
        if not self.amount:
            return fields
        new = (fields.y, fields.u, fields.v, fields.ink)
        still = self._still(luma, new, colour, REFERENCE_WEIGHT)
        if still is None:
            self._planes = [plane.copy() for plane in new]
            return fields
        margins = [_codes(still * np.float32(self.amount * most)) for most in (PAINT_MARGIN, INK_MARGIN)]
        half = _fit(margins[0], fields.u.shape)
        fitted = (_fit(margins[0], fields.y.shape), half, half, _fit(margins[1], fields.ink.shape))
        for past, plane, margin in zip(self._planes, new, fitted, strict=True):
            _play(past, plane, margin)
        return FieldPlanes(*self._planes)

    def reset(self) -> None:
        """Forget the past."""
        self._source, self._planes = None, []

    def _still(self, luma: Plane, planes: Sequence[Plane], colour: ColorInfo, share: float) -> Floats | None:
        """1 where nothing moves to 0 where something does, at small size; None where all begins anew.

        The neighbourhood of what moves moves along. `share` of the source's past stays where it stands still.
        """
        source, past = _small(luma), self._source
        fits = [plane.shape for plane in planes] == [plane.shape for plane in self._planes]
        if past is not None and past.shape == source.shape and fits and colour == self._colour:
            difference = cv2.blur(cv2.absdiff(source, past), (3, 3))
            difference = cv2.dilate(difference, np.ones((3, 3), np.uint8))
            still = np.asarray(
                np.clip((MOVED_DIFFERENCE - difference) / (MOVED_DIFFERENCE - STILL_DIFFERENCE), 0, 1),
                np.float32,
            )
            if cv2.mean(still)[0] >= MIN_STILL_SHARE:
                self._source = np.asarray(source + still * np.float32(share) * (past - source), np.float32)
                return still
        self._source, self._colour = source, colour
        return None


def _codes(values: Floats) -> Plane:
    return np.asarray(np.rint(values), np.uint8)


def _small(luma: Plane) -> Floats:
    height, width = luma.shape
    if height % DOWNSCALE or width % DOWNSCALE:
        size = max(1, width // DOWNSCALE), max(1, height // DOWNSCALE)
        return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), np.float32)
    # Twice by two, for which OpenCV has vector instructions.
    half = cv2.resize(luma, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    small = cv2.resize(half, (width // DOWNSCALE, height // DOWNSCALE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _move(past: Floats, new: Plane, weight: Floats) -> Plane:
    """Brings `past` to the average of it and what is new, in place, and gives it in code values."""
    height, width = new.shape
    rows = max(1, BAND_SAMPLES // width)
    now, change = np.empty((rows, width), np.float32), np.empty((rows, width), np.float32)
    out = np.empty_like(new)
    for top in range(0, height, rows):
        part = slice(top, min(height, top + rows))
        old, codes, by = past[part], now[: part.stop - top], change[: part.stop - top]
        np.copyto(codes, new[part])
        cv2.subtract(old, codes, by)
        cv2.multiply(by, weight[part], by)
        cv2.add(codes, by, old)
        cv2.convertScaleAbs(old, out[part])
    return out


def _play(past: Plane, new: Plane, margin: Plane) -> None:
    """Brings `past` no further than `margin` from what is new, in place; all in code values."""
    height, width = new.shape
    rows = max(1, BAND_SAMPLES // width)
    limit = np.empty((rows, width), np.uint8)
    for top in range(0, height, rows):
        part = slice(top, min(height, top + rows))
        old, codes, far, at = past[part], new[part], margin[part], limit[: part.stop - top]
        cv2.max(old, cv2.subtract(codes, far, at), old)
        cv2.min(old, cv2.add(codes, far, at), old)


def _fit(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
