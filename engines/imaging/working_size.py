"""The size at which the generator sees a picture, and the way there and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from engines.common.arrays import Bytes
from engines.imaging.field_blocks import BLOCK, SAMPLES
from engines.spec import Quality

SHARES: dict[Quality, float] = {"full": 1, "fast": 1 / 2, "lite": 1 / 2}
"""Of the size that a style was made for, by quality."""
FIELD_SHARES: dict[Quality, float] = {"full": 1, "fast": 1, "lite": 3 / 4}
"""The same of a style whose generator gives fields: its networks work on blocks, and cost less."""


def working_scale(
    quality: Quality,
    detail: float | None,
    working_height: int,
    height: int,
    width: int,
    shares: Mapping[Quality, float] = SHARES,
) -> float:
    """Working size / picture size, above 0 and at most 1.

    `full` brings the short side down to the style's `working_height` and never enlarges; `fast` and `lite`
    are the share of that in `shares`; `custom` is `detail` whatever the picture's size.
    """
    if quality == "custom":
        assert detail is not None
        return detail
    return min(1.0, working_height / min(height, width)) * shares[quality]


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
    """The same with its margins, extended to the generator's multiple."""
    padded_width: int
    margin: int = 0
    """Pixels of mirrored picture on every side, that the generator draws and that are cut off: convolutions
    take what is beyond a picture for grey, and draw a coloured fringe there.
    """

    @staticmethod
    def of(height: int, width: int, scale: float, multiple: int, margin: int = 0) -> WorkingSize:
        """For a picture of any size of at least 1 x 1."""
        height, width = height + height % 2, width + width % 2
        small_height, small_width = max(1, round(height * scale)), max(1, round(width * scale))
        return WorkingSize(
            height,
            width,
            small_height,
            small_width,
            -(-(small_height + 2 * margin) // multiple) * multiple,
            -(-(small_width + 2 * margin) // multiple) * multiple,
            margin,
        )

    @property
    def given(self) -> tuple[int, int, int]:
        """The shape of what the generator takes, height x width x channels."""
        return self.padded_height, self.padded_width, 3

    def shrink(self, plane: Bytes) -> Bytes:
        """A plane of any size at small size, untouched where it has it already."""
        return fit(plane, self.small_height, self.small_width)

    def pad(self, image: Bytes) -> Bytes:
        """H x W x 3 of small size, mirrored at its border: by the margin, and on the right and below by what
        the generator's multiple takes.

        Always the same sides: padding that moved from frame to frame would make the drawing tremble.
        """
        right, below = self.beyond
        if not self.margin and not right and not below:
            return image
        mirrored = cv2.copyMakeBorder(image, self.margin, below, self.margin, right, cv2.BORDER_REFLECT_101)
        return np.asarray(mirrored, np.uint8)

    @property
    def beyond(self) -> tuple[int, int]:
        """Pixels of padding on the right and below."""
        right = self.padded_width - self.small_width - self.margin
        return right, self.padded_height - self.small_height - self.margin

    def crop(self, image: Bytes) -> Bytes:
        """Undoes `pad`; a view."""
        ends = (
            slice(self.margin, self.margin + self.small_height),
            slice(self.margin, self.margin + self.small_width),
        )
        return image[ends]


class BlockSize(WorkingSize):
    """For generators of fields: picture and working size are whole blocks, so nothing is padded.

    They need no margin: paint is given as its difference from the picture, and lines are beyond a threshold.
    """

    @staticmethod
    def of(height: int, width: int, scale: float, multiple: int, margin: int = 0) -> BlockSize:
        """For a picture of any size; `multiple` counts blocks. What is worked on is stretched to fit.

        The margin has to be 0.
        """
        assert not margin, "fields are drawn without one"
        step = BLOCK * multiple
        height, width = (-(-side // BLOCK) * BLOCK for side in (height, width))
        small = [max(step, -(-round(side * scale) // step) * step) for side in (height, width)]
        return BlockSize(height, width, *small, *small)

    @property
    def given(self) -> tuple[int, int, int]:
        """In blocks."""
        return self.padded_height // BLOCK, self.padded_width // BLOCK, SAMPLES


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
