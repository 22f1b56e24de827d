"""Joining two frames side by side, plane by plane, without conversion: both keep their exact values."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from engines.frame import Frame, Plane

Side = Literal["right", "left", "below", "above"]
"""Where the second frame goes. Anything but "right" is for videos that a player rotates."""


def side_by_side(first: Frame, second: Frame, side: Side = "right") -> Frame:
    """Join `second` to one side of `first`. Time and colour are those of `first`.

    Halves begin on whole chroma samples, so with an odd size the last luma row or column of the upper or left
    half is repeated. The result has the size of `side_by_side_size`. Raises ValueError for unequal sizes.
    """
    if (first.width, first.height) != (second.width, second.height):
        raise ValueError(
            f"cannot join frames of {first.width}x{first.height} and {second.width}x{second.height}"
        )
    axis = 1 if side in ("right", "left") else 0
    a, b = (first, second) if side in ("right", "below") else (second, first)
    y = a.y
    if y.shape[axis] % 2:
        y = np.concatenate([y, np.take(y, [-1], axis)], axis)
    return replace(first, y=_join(y, b.y, axis), u=_join(a.u, b.u, axis), v=_join(a.v, b.v, axis))


def side_by_side_size(width: int, height: int, side: Side = "right") -> tuple[int, int]:
    """Return width and height of the joined frame for two halves of `width` x `height`."""
    if side in ("right", "left"):
        return 2 * width + width % 2, height
    return width, 2 * height + height % 2


def _join(a: Plane, b: Plane, axis: int) -> Plane:
    return np.concatenate([a, b], axis)
