"""Functions of two bytes, looked up in one step: OpenCV reads a pair of bytes as one 16-bit index.

A blend of paint and ink takes two passes over a frame in this way, a merge and a look-up, instead of two
look-ups, a product and two sums. It is also rounded once instead of three times.
"""

from __future__ import annotations

import cv2
import numpy as np

from engines.frame import Plane
from engines.looks.tables import Curve, to_table


def pair_buffer(rows: int, columns: int) -> Plane:
    """Return room for the pairs of a plane, rows x columns x 2, at an odd address.

    At an even one, `cv2.merge` writes past the cache and the look-up waits for the memory, which takes 1.6
    times as long.
    """
    raw = np.empty(rows * columns * 2 + 1, np.uint8)
    first = 1 - raw.ctypes.data % 2
    return raw[first : first + rows * columns * 2].reshape(rows, columns, 2)


class PairTable:
    """Maps two planes of one size to one."""

    def __init__(self, values: Curve) -> None:
        """`values` is 256 x 256: the result for every code of the second plane (rows) and of the first."""
        self._table = to_table(values).reshape(-1)  # the low byte of an index is the first of its pair

    def __call__(self, first: Plane, second: Plane, pairs: Plane, out: Plane | None = None) -> Plane:
        """Return the results, in `out` if given, which may be one of the two planes.

        `pairs` is a `pair_buffer` of the planes' size and is overwritten.
        """
        cv2.merge([first, second], pairs)
        return np.asarray(cv2.LUT(pairs.view(np.uint16)[..., 0], self._table, out), np.uint8)
