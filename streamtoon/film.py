"""A film as the data tools see it: upright, without its black bars, small for looking and whole on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.colour import yuv_to_rgb
from engines.picture import Picture
from streamtoon.errors import InputError
from streamtoon.media import MediaInfo, Source, probe
from streamtoon.media.orientation import Orientation
from streamtoon.media.seeking import origin_of
from training.data.bars import Box, find_bars
from training.data.cuts import Frame

LOOKS = 20
"""Pictures that the black bars are looked for in, spread over the film; fewer where it is short."""
SMALL = 144
"""The short side of the small copies, at least and nearly."""


class Film:
    """One film file. Raises InputError when it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info: MediaInfo = probe(path)
        self._orientation = Orientation.of(self.info.display_matrix)
        self.warnings: list[str] = []
        """Sentences for the user; complete when the last frame has been given."""

    @property
    def total(self) -> int | None:
        """An estimate of its pictures; None where nothing is known."""
        if self.info.frames or not self.info.duration:
            return self.info.frames
        return round(self.info.duration * self.info.rate)

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel over its height, as the picture stands upright."""
        aspect = self.info.sample_aspect_ratio or Fraction(1)
        return 1 / aspect if self._orientation.transpose else aspect

    def fingerprint(self) -> str:
        """Of its size and the first and last megabyte: what tells it from another film, fast."""
        size = self.path.stat().st_size
        digest = hashlib.sha256(str(size).encode())
        with self.path.open("rb") as file:
            digest.update(file.read(1 << 20))
            file.seek(max(0, size - (1 << 20)))
            digest.update(file.read())
        return digest.hexdigest()[:32]

    def whole(self) -> Box:
        """The box that leaves everything."""
        width, height = self._orientation.size(self.info.width, self.info.height)
        return Box(0, 0, height, width)

    def picture_box(self) -> Box:
        """What lies within the black bars, found in pictures from all over the film."""
        return find_bars(self._looks()) or self.whole()

    def _looks(self) -> Iterator[NDArray[np.uint8]]:
        length = self.info.duration
        if not length:
            with Source(self.path) as source:
                for n, picture in enumerate(source.pictures()):
                    if n % 25 == 0:
                        yield _levels(self._orientation.apply(picture.y), picture)
                    if n >= 25 * LOOKS:
                        return
            return
        looks = min(LOOKS, 5 + int(length / 10))
        for n in range(looks):
            try:
                with Source(self.path, start=length * (n + 0.5) / looks) as source:
                    picture = next(source.pictures())
                    yield _levels(self._orientation.apply(picture.y), picture)
            except (InputError, StopIteration):
                continue  # a gap, or an end earlier than was declared

    def frames(self, box: Box, start: float = 0.0) -> Generator[Frame, None, None]:
        """Every picture from `start` seconds on, cut to `box`."""
        with Source(self.path, start=start or None) as source:
            origin = origin_of(source.opened)
            for picture in source.pictures():
                time = picture.pts * picture.time_base + source.shift - origin
                luma = self._orientation.apply(picture.y)[box.top : box.bottom, box.left : box.right]
                # Shrunk first: a table over every sample of the film would cost more than its decoding.
                small = _levels(_small(luma), picture)
                yield Frame(max(0.0, float(time)), small, _Whole(self, picture, box))
            self.warnings = source.warnings

    def rgb(self, picture: Picture, box: Box) -> NDArray[np.uint8]:
        """The picture upright within `box`, H x W x 3, with square pixels."""
        size = picture.width, picture.height
        u, v = (_full_size(plane, size, picture.colour.full_range) for plane in (picture.u, picture.v))
        turned = [self._orientation.apply(plane) for plane in (picture.y, u, v)]
        y, u, v = (
            np.ascontiguousarray(plane[box.top : box.bottom, box.left : box.right]) for plane in turned
        )
        rgb = yuv_to_rgb(y, u, v, picture.colour)
        aspect = self.pixel_aspect
        if aspect == 1:
            return rgb
        # The longer way is kept: what is squeezed into fewer samples than it is shown in gets more.
        height, width = rgb.shape[:2]
        target = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
        return np.asarray(cv2.resize(rgb, target, interpolation=cv2.INTER_CUBIC), np.uint8)


class _Whole:
    """Makes the RGB picture when it is asked for."""

    def __init__(self, film: Film, picture: Picture, box: Box) -> None:
        self._film, self._picture, self._box = film, picture, box

    def __call__(self) -> NDArray[np.uint8]:
        return self._film.rgb(self._picture, self._box)


_FULL_RANGE = np.clip(np.round((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)


def _levels(luma: NDArray[np.uint8], picture: Picture) -> NDArray[np.uint8]:
    """`picture`'s luma as 0 black to 255 white, whatever its range."""
    return luma if picture.colour.full_range else _FULL_RANGE[luma]


def _small(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrunk by a whole factor, which OpenCV does at memory speed."""
    height, width = luma.shape
    factor = max(1, min(height, width) // SMALL)
    part = luma[: height // factor * factor, : width // factor * factor]
    target = (width // factor, height // factor)
    return np.asarray(cv2.resize(part, target, interpolation=cv2.INTER_AREA), np.uint8)


def _full_size(plane: NDArray[np.uint8], size: tuple[int, int], full_range: bool) -> NDArray[np.uint8]:
    """A chroma plane at luma's size, each sample in its place.

    Video's chroma samples lie on luma's even columns (ITU-T H.273, Chroma420SampleLocType 0), those of
    JPEG's full range between the columns; both lie between the rows.
    """
    left = -0.25 if full_range else 0.0
    place = np.array([[0.5, 0, left], [0, 0.5, -0.25]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(plane, place, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
