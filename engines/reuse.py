"""A picture that is the last one again: slides, static cameras and doubled frames are drawn once."""

from __future__ import annotations

import numpy as np

from engines.picture import Picture, Plane

ROWS = 16
"""Rows of luma that are compared first: video that moves differs in them, and pays microseconds."""


class LastPicture:
    """The last picture and its cartoon, by content: time is not part of it, colour is."""

    def __init__(self) -> None:
        self._picture: Picture | None = None
        self._planes: tuple[Plane, Plane, Plane] | None = None

    def cartoon_of(self, picture: Picture) -> tuple[Plane, Plane, Plane] | None:
        """The planes of the last cartoon where `picture` is the last one, sample by sample; else None."""
        last = self._picture
        if last is None or picture.colour != last.colour or picture.y.shape != last.y.shape:
            return None
        step = max(1, picture.height // ROWS)
        if not np.array_equal(picture.y[::step], last.y[::step]):
            return None
        same = all(np.array_equal(getattr(picture, plane), getattr(last, plane)) for plane in "yuv")
        return self._planes if same else None

    def remember(self, picture: Picture, cartoon: Picture) -> None:
        """Keeps both; the cartoon's planes, which later pictures may share, are made read-only.

        Nothing may write to them from here on: a source whose planes are read-only stays as it is, as a
        Picture's do by its nature, and one in arrays that somebody still fills is copied.
        """
        kept = [getattr(picture, plane) for plane in "yuv"]
        y, u, v = (plane.copy() if plane.flags.writeable else plane for plane in kept)
        self._picture = Picture(y, u, v, picture.pts, picture.time_base, colour=picture.colour)
        self._planes = cartoon.y, cartoon.u, cartoon.v
        for plane in self._planes:
            plane.flags.writeable = False

    def forget(self) -> None:
        """Frees both."""
        self._picture = self._planes = None
