"""The working size, at which a generator runs, and scaling to it and back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from engines.common.arrays import Bytes
from engines.imaging.field_blocks import BLOCK, SAMPLES
from engines.spec import Quality

SHARES: dict[Quality, float] = {"full": 1, "fast": 1 / 2, "lite": 1 / 2}
"""Share of the size that a style was made for, by quality."""
LITE_FIELDS_SHARE = 3 / 4
"""The same for `lite` and generators of fields, which run on blocks and need less time."""
MAX_ENLARGEMENT = 1.5
"""How much small frames are enlarged for a look. At twice their size, blurred ones lost their outlines."""
MAX_OVERSAMPLING = 1.25
"""How much larger than the frame `full` draws a look. At 1.5, edges move no more smoothly."""
OVERSAMPLED_SIDE = 1080
"""Short side, in pixels, above which a look is not drawn larger than the frame."""


def working_scale(
    quality: Quality, detail: float | None, working_height: int, height: int, width: int
) -> float:
    """Return working size / frame size, above 0 and at most 1, for generators of finished images.

    Args:
        quality: `full` scales the short side down to `working_height` and never up; `fast` and `lite` are
            shares of that; `custom` uses `detail`.
        detail: The scale for `custom`; None otherwise.
        working_height: Short side that the style was made for, pixels.
        height: Height of the frame, pixels.
        width: Width of the frame, pixels.
    """
    if quality == "custom":
        assert detail is not None
        return detail
    return min(1.0, working_height / min(height, width)) * SHARES[quality]


def field_scale(
    quality: Quality, detail: float | None, working_height: int, height: int, width: int
) -> float:
    """Return working size / frame size, above 0, for generators of fields.

    Above 1, a frame is enlarged, drawn, and its drawing reduced again. So strokes of a small frame are finer,
    and small heads keep more of their eyes and mouths.

    Args:
        quality: `full` and `fast` scale the short side to `working_height`, up at most by `MAX_ENLARGEMENT`.
            `lite` scales it down to three quarters of that and never up; `custom` uses `detail`.
        detail: The scale for `custom`; None otherwise.
        working_height: Short side that the style was made for, pixels.
        height: Height of the frame, pixels.
        width: Width of the frame, pixels.
    """
    if quality == "custom":
        assert detail is not None
        return detail
    scale = working_height / min(height, width)
    return min(1.0, LITE_FIELDS_SHARE * scale) if quality == "lite" else min(MAX_ENLARGEMENT, scale)


def drawing_scale(quality: Quality, height: int, width: int) -> float:
    """Return at least how much larger than the frame a look is drawn, from 1 to `MAX_OVERSAMPLING`.

    A look has hard edges. An edge that moves by a part of a pixel jumps by a whole one, and flickers. `full`
    draws larger and reduces the drawing, so edges are smooth and move smoothly. Large frames have small
    pixels and are not oversampled.
    """
    if quality != "full":
        return 1.0
    return min(MAX_OVERSAMPLING, max(1.0, OVERSAMPLED_SIDE / min(height, width)))


def field_size(
    quality: Quality, detail: float | None, working_height: int, height: int, width: int, multiple: int
) -> BlockSize:
    """Return the sizes for a frame, a generator of fields, and a look.

    Args:
        quality: As in `field_scale` and `drawing_scale`.
        detail: The scale for `custom`; None otherwise.
        working_height: Short side that the style was made for, pixels.
        height: Height of the frame, at least 1 pixel.
        width: Width of the frame, at least 1 pixel.
        multiple: The generator's `size_multiple`, in blocks.
    """
    scale = field_scale(quality, detail, working_height, height, width)
    return BlockSize.of(height, width, scale, multiple, drawn_scale=drawing_scale(quality, height, width))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingSize:
    """Sizes of a frame in pixels: its own, the working size, and that of the generator's input."""

    height: int
    """Height of the frame, rounded up to even, so that 4:2:0 chroma has exactly half the size."""
    width: int
    working_height: int
    """Height of what the generator draws."""
    working_width: int
    padded_height: int
    """Working height with margins, rounded up to the generator's multiple."""
    padded_width: int
    margin: int = 0
    """Mirrored pixels on every side, which are drawn and cut off again. Convolutions see grey beyond the
    border and would draw a coloured fringe there.
    """

    @staticmethod
    def of(height: int, width: int, scale: float, multiple: int, margin: int = 0) -> WorkingSize:
        """Return the sizes for a frame.

        Args:
            height: Height of the frame, at least 1 pixel.
            width: Width of the frame, at least 1 pixel.
            scale: Working size / frame size, as returned by `working_scale`.
            multiple: The generator's `size_multiple`.
            margin: Mirrored pixels on every side of the generator's input.
        """
        height, width = height + height % 2, width + width % 2
        working_height, working_width = max(1, round(height * scale)), max(1, round(width * scale))
        return WorkingSize(
            height=height,
            width=width,
            working_height=working_height,
            working_width=working_width,
            padded_height=-(-(working_height + 2 * margin) // multiple) * multiple,
            padded_width=-(-(working_width + 2 * margin) // multiple) * multiple,
            margin=margin,
        )

    @property
    def given(self) -> tuple[int, int, int]:
        """Shape of the generator's input: height x width x channels."""
        return self.padded_height, self.padded_width, 3

    def shrink(self, plane: Bytes) -> Bytes:
        """Scale a plane of any size to the drawing's size. Return it as it is if it has that size."""
        return fit(plane, self.working_height, self.working_width)

    def pad(self, image: Bytes) -> Bytes:
        """Mirror an image of H x W x 3 at its border: by the margin, and on the right and at the bottom up to
        the generator's multiple.

        Always the same sides: if the padding moved from frame to frame, the drawing would tremble.
        """
        right, below = self.beyond
        if not self.margin and not right and not below:
            return image
        mirrored = cv2.copyMakeBorder(image, self.margin, below, self.margin, right, cv2.BORDER_REFLECT_101)
        return np.asarray(mirrored, np.uint8)

    @property
    def beyond(self) -> tuple[int, int]:
        """Number of padding pixels on the right and at the bottom."""
        right = self.padded_width - self.working_width - self.margin
        return right, self.padded_height - self.working_height - self.margin

    def crop(self, image: Bytes) -> Bytes:
        """Undo `pad`. Return a view."""
        ends = (
            slice(self.margin, self.margin + self.working_height),
            slice(self.margin, self.margin + self.working_width),
        )
        return image[ends]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSize(WorkingSize):
    """Sizes for generators of fields and looks. The working size is whole blocks, so nothing is padded.

    No margin is needed: paint is a difference from the frame, and lines start at a threshold.
    """

    source_height: int
    """Height of the frame after its enlargement, if it is enlarged; even."""
    source_width: int
    block_height: int
    """Source height, extended to whole blocks."""
    block_width: int
    drawn_height: int
    """Height at which the look draws: the source's or more; even."""
    drawn_width: int

    @staticmethod
    def of(
        height: int, width: int, scale: float, multiple: int, margin: int = 0, *, drawn_scale: float = 1.0
    ) -> BlockSize:
        """Return the sizes for a frame, whose working size may be stretched slightly to whole blocks.

        Args:
            height: Height of the frame, at least 1 pixel.
            width: Width of the frame, at least 1 pixel.
            scale: Working size / frame size, as returned by `field_scale`.
            multiple: The generator's `size_multiple`, in blocks.
            margin: Must be 0.
            drawn_scale: Drawn size / frame size, at least 1. Where `scale` is larger, it counts.
        """
        assert not margin, "generators of fields have no margin"
        step = BLOCK * multiple
        sides = height + height % 2, width + width % 2
        source = [2 * round(side * max(1.0, scale) / 2) for side in sides]
        blocks = [-(-side // step) * step for side in source]
        small = [max(step, -(-round(side * min(1.0, scale)) // step) * step) for side in blocks]
        drawn = [2 * round(side * max(scale, drawn_scale, 1.0) / 2) for side in sides]
        return BlockSize(
            height=sides[0],
            width=sides[1],
            source_height=source[0],
            source_width=source[1],
            block_height=blocks[0],
            block_width=blocks[1],
            working_height=small[0],
            working_width=small[1],
            padded_height=small[0],
            padded_width=small[1],
            drawn_height=drawn[0],
            drawn_width=drawn[1],
        )

    @property
    def enlarges(self) -> bool:
        """Whether the frame is enlarged for the network."""
        return (self.source_height, self.source_width) != (self.height, self.width)

    @property
    def oversamples(self) -> bool:
        """Whether the look draws larger than the frame, so that the drawing is reduced."""
        return (self.drawn_height, self.drawn_width) != (self.height, self.width)

    @property
    def given(self) -> tuple[int, int, int]:
        """Shape of the generator's input: rows x columns of blocks x channels."""
        return self.padded_height // BLOCK, self.padded_width // BLOCK, SAMPLES


def fit(plane: Bytes, height: int, width: int) -> Bytes:
    """Scale down by area averages or up bilinearly. Return the plane as it is if it has that size.

    Pixel centres keep their position. 4:2:0 chroma that is sited on the left, as in most video, is thus
    treated as shifted by a quarter of a chroma pixel on the way to RGB and shifted back on the way to YUV.
    """
    if plane.shape[:2] == (height, width):
        return plane
    shrinks = plane.shape[0] >= height and plane.shape[1] >= width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (width, height), interpolation=method), np.uint8)


def reduce(plane: Bytes, height: int, width: int) -> Bytes:
    """Scale a plane down, or return it as it is if it has that size: half by half, and the rest bilinearly.

    Six times as fast as area averages of a share that is not whole. Fields of frames reduced to 3/4 in either
    way are equally close to the abstraction program's (SSIM of the finished look within 0.002).
    """
    while plane.shape[0] >= 2 * height and plane.shape[1] >= 2 * width:
        half = plane.shape[1] // 2, plane.shape[0] // 2
        plane = np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.uint8)
    if plane.shape == (height, width):
        return plane
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def extend(image: Bytes, height: int, width: int) -> Bytes:
    """Extend an image to height x width by repeating the last row and column."""
    below, right = height - image.shape[0], width - image.shape[1]
    if not below and not right:
        return image
    return np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
