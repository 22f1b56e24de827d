"""A video for the data tools: upright frames without black bars, small, and at full size on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frame import Frame
from engines.imaging.color import yuv_to_rgb
from streamtoon.errors import InputError
from streamtoon.media import MediaInfo, VideoReader, probe
from streamtoon.media.orientation import Orientation
from training.curation.letterbox import Box, find_bars
from training.curation.shots import ShotFrame

BAR_SAMPLES = 20
"""Frames, spread over the video, that are searched for black bars; fewer in a short video."""
SMALL_SIDE_PIXELS = 144
"""Approximate short side of the small copies; never less."""


class Film:
    """One video file. Raises InputError if it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info: MediaInfo = probe(path)
        self._orientation = Orientation.of(self.info.display_matrix)
        self.warnings: list[str] = []
        """Warnings for the user; complete after the last frame."""

    @property
    def total(self) -> int | None:
        """Estimated number of frames; None if unknown."""
        if self.info.frames or not self.info.duration:
            return self.info.frames
        return round(self.info.duration * self.info.rate)

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel divided by its height, in an upright frame."""
        aspect = self.info.sample_aspect_ratio or Fraction(1)
        return 1 / aspect if self._orientation.transpose else aspect

    def fingerprint(self) -> str:
        """Return a fast fingerprint of the file: a hash of its size and its first and last megabyte."""
        size = self.path.stat().st_size
        digest = hashlib.sha256(str(size).encode())
        with self.path.open("rb") as file:
            digest.update(file.read(1 << 20))
            file.seek(max(0, size - (1 << 20)))
            digest.update(file.read())
        return digest.hexdigest()[:32]

    def whole(self) -> Box:
        """Return the box of the whole frame."""
        width, height = self._orientation.size(self.info.width, self.info.height)
        return Box(0, 0, height, width)

    def picture_box(self) -> Box:
        """Return the box within the black bars, found in frames from all over the video."""
        return find_bars(self._looks()) or self.whole()

    def _looks(self) -> Iterator[NDArray[np.uint8]]:
        length = self.info.duration
        if not length:
            with VideoReader(self.path) as source:
                for n, picture in enumerate(source.frames()):
                    if n % 25 == 0:
                        yield _levels(self._orientation.apply(picture.y), picture)
                    if n >= 25 * BAR_SAMPLES:
                        return
            return
        looks = min(BAR_SAMPLES, 5 + int(length / 10))
        for n in range(looks):
            try:
                with VideoReader(self.path, start=length * (n + 0.5) / looks) as source:
                    picture = next(source.frames())
                    yield _levels(self._orientation.apply(picture.y), picture)
            except (InputError, StopIteration):
                continue  # a gap, or an end before the declared one

    def frames(self, box: Box, start: float = 0.0) -> Generator[ShotFrame, None, None]:
        """Yield every frame from `start` seconds on, cropped to `box`."""
        with VideoReader(self.path, start=start or None) as source:
            origin = source.origin
            for picture in source.frames():
                time = picture.pts * picture.time_base + source.shift - origin
                luma = self._orientation.apply(picture.y)[box.top : box.bottom, box.left : box.right]
                # Shrink first: a table lookup for every sample would take longer than decoding.
                small = _levels(_small(luma), picture)
                yield ShotFrame(max(0.0, float(time)), small, _Whole(self, picture, box))
            self.warnings = source.warnings

    def rgb(self, picture: Frame, box: Box) -> NDArray[np.uint8]:
        """Convert a frame to upright RGB within `box`, H x W x 3, with square pixels."""
        size = picture.width, picture.height
        u, v = (_full_size(plane, size, picture.color.full_range) for plane in (picture.u, picture.v))
        turned = [self._orientation.apply(plane) for plane in (picture.y, u, v)]
        y, u, v = (
            np.ascontiguousarray(plane[box.top : box.bottom, box.left : box.right]) for plane in turned
        )
        rgb = yuv_to_rgb(y, u, v, picture.color)
        aspect = self.pixel_aspect
        if aspect == 1:
            return rgb
        # Keep the larger side: a squeezed side gets more samples.
        height, width = rgb.shape[:2]
        target = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
        return np.asarray(cv2.resize(rgb, target, interpolation=cv2.INTER_CUBIC), np.uint8)


class _Whole:
    """Converts a frame to RGB on demand."""

    def __init__(self, film: Film, picture: Frame, box: Box) -> None:
        self._film, self._picture, self._box = film, picture, box

    def __call__(self) -> NDArray[np.uint8]:
        return self._film.rgb(self._picture, self._box)


_FULL_RANGE = np.clip(np.round((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)


def _levels(luma: NDArray[np.uint8], picture: Frame) -> NDArray[np.uint8]:
    """Convert luma of any range to 0 (black) to 255 (white)."""
    return luma if picture.color.full_range else _FULL_RANGE[luma]


def _small(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink by an integer factor, which OpenCV does at memory speed."""
    height, width = luma.shape
    factor = max(1, min(height, width) // SMALL_SIDE_PIXELS)
    part = luma[: height // factor * factor, : width // factor * factor]
    target = (width // factor, height // factor)
    return np.asarray(cv2.resize(part, target, interpolation=cv2.INTER_AREA), np.uint8)


def _full_size(plane: NDArray[np.uint8], size: tuple[int, int], full_range: bool) -> NDArray[np.uint8]:
    """Resize a chroma plane to the size of luma, with each sample at its position.

    Video's chroma samples lie on luma's even columns (ITU-T H.273, Chroma420SampleLocType 0), those of
    JPEG's full range between the columns; both lie between the rows.
    """
    left = -0.25 if full_range else 0.0
    place = np.array([[0.5, 0, left], [0, 0.5, -0.25]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(plane, place, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.uint8
    )
