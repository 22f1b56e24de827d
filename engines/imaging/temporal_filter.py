"""A temporal filter against flicker: where the source does not move, the drawing stays the same.

A generator responds to noise in its input with strokes that come and go. There are two filters with a common
gate, which is open where the source's luma is close to its average over time. Where it is closed, something
has moved or the light has changed, and the new drawing is used as it is.

Finished cartoons are averaged over time with a weight per sample. The source is averaged with the same
weights, so the filter never mixes two different scenes.

Fields are filtered before a look's thresholds, so that lines and edges of patches stay sharp. A sample keeps
its value until the new one differs by more than a margin, and then follows it at that distance: the play
operator of Krasnosel'skii and Pokrovskii, "Systems with Hysteresis", 1989, chapter 1. Noise below the margin
changes nothing, nothing is blurred, and no sample is further from its new value than the margin.
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
"""Weight of a cartoon's past at amount 1: an average over about ten frames."""
PAINT_MARGIN, INK_MARGIN = 10, 30
"""Largest difference of paint and ink response from their new values at amount 1, code values."""
REFERENCE_WEIGHT = 0.5
"""Weight of the past in the luma that gates fields."""
STILL_DIFFERENCE, MOVED_DIFFERENCE = 1.0, 3.0
"""Differences of luma from its average, code values: up to the first the past counts fully, from the second
not at all."""
MIN_STILL_SHARE = 0.1
"""If less than this share of the frame does not move, it is a new scene."""
DOWNSCALE = 4
"""Motion is detected on luma reduced by this factor, where most of a camera's noise has disappeared."""
BAND_SAMPLES = 1 << 16
"""Samples that are processed at a time, so that intermediate results stay in the CPU's cache."""


class Stabilizer:
    """Filters frames in their order. `amount` is 0 (off) to 1. Raises ValueError for another amount.

    Used by one thread at a time.
    """

    def __init__(self, amount: float) -> None:
        if not 0 <= amount <= 1:
            raise ValueError(f"amount is {amount}, expected 0 to 1")
        self.amount = amount
        self._source: Floats | None = None
        self._planes: list[Any] = []
        self._color = ColorInfo()

    def __call__(self, source: Frame, cartoon: Frame) -> Frame:
        """Return `cartoon`, the drawing of `source`, filtered: same size, time and colour.

        The past is dropped at a cut and if the size or the colour changes. A cartoon that is the source
        itself is returned as it is.
        """
        if not self.amount or cartoon is source:
            self.reset()
            return cartoon
        new = (cartoon.y, cartoon.u, cartoon.v)
        share = MAX_PAST_WEIGHT * self.amount
        still = self._still(source.y, new, cartoon.color, share)
        if still is None:
            self._planes = [plane.astype(np.float32) for plane in new]
            return cartoon
        weight = still * np.float32(share)
        fitted = {shape: _fit(weight, shape) for shape in {plane.shape for plane in new}}
        y, u, v = (
            _move(past, plane, fitted[plane.shape]) for past, plane in zip(self._planes, new, strict=True)
        )
        return dataclasses.replace(cartoon, y=y, u=u, v=v)

    def hold(self, luma: Plane, fields: FieldPlanes, color: ColorInfo) -> FieldPlanes:
        """Return the filtered fields of a frame with that luma.

        The past is dropped as in a call. `fields` is not changed. The returned fields are valid until the
        next call and must not be written to.
        """
        if not self.amount:
            return fields
        new = (fields.y, fields.u, fields.v, fields.ink)
        still = self._still(luma, new, color, REFERENCE_WEIGHT)
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
        """Drop the past."""
        self._source, self._planes = None, []

    def _still(self, luma: Plane, planes: Sequence[Plane], color: ColorInfo, share: float) -> Floats | None:
        """Return 1 where nothing moves to 0 where something does, at small size; None to drop the past.

        The neighbourhood of motion counts as moving. `share` of the source's past is kept where nothing
        moves.
        """
        source, past = _small(luma), self._source
        fits = [plane.shape for plane in planes] == [plane.shape for plane in self._planes]
        if past is not None and past.shape == source.shape and fits and color == self._color:
            difference = cv2.blur(cv2.absdiff(source, past), (3, 3))
            difference = cv2.dilate(difference, np.ones((3, 3), np.uint8))
            still = np.asarray(
                np.clip((MOVED_DIFFERENCE - difference) / (MOVED_DIFFERENCE - STILL_DIFFERENCE), 0, 1),
                np.float32,
            )
            if cv2.mean(still)[0] >= MIN_STILL_SHARE:
                self._source = np.asarray(source + still * np.float32(share) * (past - source), np.float32)
                return still
        self._source, self._color = source, color
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
    """Move `past` to the weighted average of itself and `new`, in place. Return it as code values."""
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
    """Move `past`, in place, to within `margin` of `new`; all are code values."""
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
