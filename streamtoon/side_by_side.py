"""Two pictures next to each other, plane by plane: no conversion, so both halves keep their exact values."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from engines.picture import Picture, Plane

Side = Literal["right", "left", "below", "above"]
"""Where the second picture lies. Other than "right" for videos that a player turns before showing them."""


def side_by_side(first: Picture, second: Picture, side: Side = "right") -> Picture:
    """`second` joined to that side of `first`; time and colour are those of `first`.

    Halves begin on whole chroma samples, so the upper or left one of an odd size gets its last luma row or
    column twice: the result is of `side_by_side_size`. Raises ValueError for unequal sizes.
    """
    if (first.width, first.height) != (second.width, second.height):
        raise ValueError(
            f"pictures of {first.width}x{first.height} and {second.width}x{second.height} cannot be joined"
        )
    axis = 1 if side in ("right", "left") else 0
    a, b = (first, second) if side in ("right", "below") else (second, first)
    y = a.y
    if y.shape[axis] % 2:
        y = np.concatenate([y, np.take(y, [-1], axis)], axis)
    return replace(first, y=_join(y, b.y, axis), u=_join(a.u, b.u, axis), v=_join(a.v, b.v, axis))


def side_by_side_size(width: int, height: int, side: Side = "right") -> tuple[int, int]:
    """Width and height of the joined picture for two halves of `width` x `height`."""
    if side in ("right", "left"):
        return 2 * width + width % 2, height
    return width, 2 * height + height % 2


def _join(a: Plane, b: Plane, axis: int) -> Plane:
    return np.concatenate([a, b], axis)
