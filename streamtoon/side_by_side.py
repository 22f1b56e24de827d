"""Two pictures next to each other, plane by plane: no conversion, so both halves keep their exact values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engines.picture import Picture, Plane


def side_by_side(left: Picture, right: Picture) -> Picture:
    """`left` and `right` joined at full height; time and colour are `left`'s.

    The right half has to begin on a whole chroma sample, so a `left` of odd width W gets its last luma
    column twice: the result is `side_by_side_width(W)` wide. Raises ValueError for unequal sizes.
    """
    if (left.width, left.height) != (right.width, right.height):
        raise ValueError(
            f"pictures of {left.width}x{left.height} and {right.width}x{right.height} cannot be joined"
        )
    luma = [left.y, right.y] if left.width % 2 == 0 else [left.y, left.y[:, -1:], right.y]
    return replace(
        left,
        y=_join(luma),
        u=_join([left.u, right.u]),
        v=_join([left.v, right.v]),
    )


def side_by_side_width(width: int) -> int:
    """Width of the joined picture for two halves of `width` pixels."""
    return 2 * width + width % 2


def _join(planes: list[Plane]) -> Plane:
    return np.concatenate(planes, axis=1)
