"""The size at which the generator sees a picture, and the way there and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Quality = Literal["full", "fast", "lite", "custom"]


def working_scale(
    quality: Quality, detail: float | None, working_height: int, height: int, width: int
) -> float:
    """Working size / picture size, above 0 and at most 1.

    `full` brings the short side down to the style's `working_height` and never enlarges; `fast` and `lite`
    are half of that; `custom` is `detail` whatever the picture's size.
    """
    if quality == "custom":
        assert detail is not None
        return detail
    full = min(1.0, working_height / min(height, width))
    return full if quality == "full" else full / 2


@dataclass(frozen=True, slots=True)
class WorkingSize:
    """A picture's sizes in pixels: as it is, as worked on, as the generator takes it."""

    height: int
    """Of the picture with odd sizes made even, so that 4:2:0 chroma is exactly its half."""
    width: int
    small_height: int
    """Of what the generator is to draw."""
    small_width: int
    padded_height: int
    """The same, extended to the generator's multiple."""
    padded_width: int

    @staticmethod
    def of(height: int, width: int, scale: float, multiple: int) -> WorkingSize:
        """For a picture of any size of at least 1 x 1."""
        height, width = height + height % 2, width + width % 2
        small_height, small_width = max(1, round(height * scale)), max(1, round(width * scale))
        return WorkingSize(
            height,
            width,
            small_height,
            small_width,
            -(-small_height // multiple) * multiple,
            -(-small_width // multiple) * multiple,
        )

    def shrink(self, plane: Bytes) -> Bytes:
        """A plane of any size at small size, untouched where it has it already."""
        return fit(plane, self.small_height, self.small_width)

    def pad(self, image: Bytes) -> Bytes:
        """H x W x 3 of small size, extended to the right and below by its own edge.

        Always the same sides: padding that moved from frame to frame would make the drawing tremble.
        """
        return extend(image, self.padded_height, self.padded_width)

    def crop(self, image: Bytes) -> Bytes:
        """Undoes `pad`; a view."""
        return image[: self.small_height, : self.small_width]


def fit(plane: Bytes, height: int, width: int) -> Bytes:
    """Resizes by area averages where it shrinks, bilinearly where it grows; itself where nothing is to do.

    Pixel centres keep their place (both ways take samples to lie in the middle of their area). 4:2:0 chroma
    that is sited on the left, as most video's, is thus drawn a quarter of a chroma pixel aside and comes
    back exactly to where it was.
    """
    if plane.shape[:2] == (height, width):
        return plane
    shrinks = plane.shape[0] >= height and plane.shape[1] >= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (width, height), interpolation=method), np.uint8)


def extend(image: Bytes, height: int, width: int) -> Bytes:
    """To height x width by repeating the last row and column; itself where nothing is to do."""
    below, right = height - image.shape[0], width - image.shape[1]
    if not below and not right:
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
