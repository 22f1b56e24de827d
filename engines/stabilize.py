"""Motion-gated temporal averaging: where the source stands still, the cartoon does too.

A generator answers noise in its input with strokes that come and go. Here the cartoon is averaged over time
with a weight per pixel, and the source's luma along with it, by the same weights. Where the source departs
from its own average, something has moved or the light has changed, and the new cartoon is let through as it
is: what is shown is never the average of two different things.
"""

from __future__ import annotations

import dataclasses
import io

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.picture import Colour, Picture

Floats = NDArray[np.float32]

LONGEST = 0.9
"""Weight of the past at amount 1: an average over about ten pictures."""
STILL, MOVED = 1.5, 5.0
"""Code values of luma by which the source may depart from its average: all of the past, none of it."""
CUT = 0.1
"""Share of the picture that stands still, below which it is another scene."""


class Stabilizer:
    """Called with pictures in their order. `amount` is 0, which touches nothing, to 1.

    Raises ValueError for another amount.
    """

    def __init__(self, amount: float) -> None:
        if not 0 <= amount <= 1:
            raise ValueError(f"amount is {amount}, expected 0 to 1")
        self._weight = LONGEST * amount
        self._source: Floats | None = None
        self._cartoon: list[Floats] = []
        self._colour = Colour()

    def __call__(self, source: Picture, cartoon: Picture) -> Picture:
        """`cartoon` of `source`, made steady: same size, time and colour.

        Begins anew at a scene's cut, and where the size or the colour changes. A cartoon that is the source
        itself stays as it is.
        """
        if not self._weight or cartoon is source:
            self.reset()
            return cartoon
        small = _half(source.y)
        planes = [plane.astype(np.float32) for plane in (cartoon.y, cartoon.u, cartoon.v)]
        still = self._still(small, planes, cartoon.colour)
        if still is None or cv2.mean(still)[0] < CUT:
            self._source, self._cartoon, self._colour = small, planes, cartoon.colour
            return cartoon
        assert self._source is not None, "what stands still has a past"
        weight = still * np.float32(self._weight)
        self._source = _blend(small, self._source, weight)
        self._cartoon = [
            _blend(new, old, _fit(weight, new.shape)) for new, old in zip(planes, self._cartoon, strict=True)
        ]
        y, u, v = (np.asarray(cv2.convertScaleAbs(plane), np.uint8) for plane in self._cartoon)
        return dataclasses.replace(cartoon, y=y, u=u, v=v)

    def reset(self) -> None:
        """Forget the past."""
        self._source, self._cartoon = None, []

    def state(self) -> bytes:
        """The past, for `restore`: some six times a picture's size at most."""
        file = io.BytesIO()
        past = [] if self._source is None else [self._source, *self._cartoon]
        colour = self._colour
        tags = [colour.matrix, str(int(colour.full_range)), str(colour.primaries), str(colour.transfer)]
        np.savez_compressed(file, np.array(tags), *past)
        return file.getvalue()

    def restore(self, state: bytes) -> None:
        """Go on where the one that gave `state` was. Raises ValueError for anything else."""
        try:
            with np.load(io.BytesIO(state), allow_pickle=False) as past:
                tags, *planes = (past[name] for name in past.files)
            matrix, full_range, primaries, transfer = tags.tolist()
            colour = Colour(matrix, full_range == "1", int(primaries), int(transfer))
        except Exception as error:  # numpy and zipfile raise nearly anything on what is damaged
            raise ValueError("this is no state of a Stabilizer") from error
        if len(planes) not in (0, 4) or any(plane.dtype != np.float32 or plane.ndim != 2 for plane in planes):
            raise ValueError("this is no state of a Stabilizer")
        self._source, self._cartoon = (planes[0], planes[1:]) if planes else (None, [])
        self._colour = colour

    def _still(self, source: Floats, cartoon: list[Floats], colour: Colour) -> Floats | None:
        """1 where nothing moves to 0 where something does, at half size; None without a past to go on with.

        The neighbourhood of what moves moves along.
        """
        past = self._source
        if past is None or past.shape != source.shape or colour != self._colour:
            return None
        if [plane.shape for plane in cartoon] != [plane.shape for plane in self._cartoon]:
            return None
        difference = cv2.blur(cv2.absdiff(source, past), (3, 3))
        difference = cv2.dilate(difference, np.ones((3, 3), np.uint8))
        return np.asarray(np.clip((MOVED - difference) / (MOVED - STILL), 0, 1), np.float32)


def _half(luma: NDArray[np.uint8]) -> Floats:
    """At half size, which takes most of a camera's noise out of it; in floats, so that it is not rounded."""
    size = max(1, luma.shape[1] // 2), max(1, luma.shape[0] // 2)
    return np.asarray(cv2.resize(luma.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)


def _blend(new: Floats, old: Floats, weight: Floats) -> Floats:
    return np.asarray(new + weight * (old - new), np.float32)


def _fit(weight: Floats, shape: tuple[int, ...]) -> Floats:
    if weight.shape == shape:
        return weight
    return np.asarray(cv2.resize(weight, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR), np.float32)
