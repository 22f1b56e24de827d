"""Turning frames upright, for containers that cannot store a rotation."""

from __future__ import annotations

from dataclasses import dataclass

from engines.frame import Plane
from streamtoon.media.side_by_side import Side


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight orientations of an image: transpose first, then flip."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, matrix: tuple[int, ...] | None) -> Orientation:
        """Return what a display matrix asks a player to do, rounded to a quarter turn.

        The matrix maps (x, y) to (a x + c y, b x + d y); a, b, c, d are its elements 0, 1, 3 and 4.
        """
        if matrix is None:
            return cls()
        a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    @property
    def right(self) -> Side:
        """The side of the stored frame that a viewer sees on the right."""
        if self.transpose:
            return "above" if self.flip_x else "below"
        return "left" if self.flip_x else "right"

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return (width, height) after turning."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, plane: Plane) -> Plane:
        """Return a turned view of `plane`."""
        turned = plane.T if self.transpose else plane
        return turned[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]
