"""Fields, which a generator may give instead of an RGB image: paint and ink response, in blocks.

A frame in YUV 4:2:0 is read in blocks of 4 x 4 pixels: 16 samples of luma and 4 of each chroma plane, 24
channels at a quarter of each side. Fields have 40 channels: 24 for the paint and 16 samples of ink response.
The paint is stored as its difference from the frame, so flat areas keep the frame's own values whatever the
network's precision. `engines.looks` turns paint and ink into a drawing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frame import Plane, Planes

BLOCK = 4
"""Side of a block, pixels of luma."""
SAMPLES, FIELDS = 24, 40
"""Channels of a block of a frame, and of a block of fields."""
CHANGE_ZERO = 128
"""Code value of a paint sample that equals the frame's: paint = frame + code - 128."""
INK_SCALE, INK_ZERO = 100, 50
"""An ink response r has the code value 100 r + 50, so that -0.5 to 2 map to 0 to 250."""
INK_THRESHOLD = INK_ZERO + INK_SCALE
"""Code value at which a line begins."""

LUMA_ROWS = range(BLOCK)
CHROMA_ROWS = range(BLOCK)
"""Two rows of Cb and two of Cr."""
CHROMA_WORDS = range(8, 12)
"""Their places among the 16-bit words of a block, behind 16 samples of luma."""
INK_WORDS = range(6, 10)
"""Places of the four rows of ink among the 32-bit words of a block of fields."""

Blocks = NDArray[np.uint8]
"""Rows x columns x channels, in the order luma (row by row), Cb, Cr, ink."""


@dataclass(frozen=True, slots=True)
class FieldPlanes:
    """Paint and ink response of a frame as planes, whose sizes are multiples of a block."""

    y: Plane
    """Luma of the paint, H x W; limited range."""
    u: Plane
    """Cb of the paint, H/2 x W/2."""
    v: Plane
    ink: Plane
    """Response as code values, H x W: `INK_THRESHOLD` is where a line begins."""


def ink_code(response: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the code values of ink responses."""
    return np.clip(np.rint(response * INK_SCALE + INK_ZERO), 0, 255).astype(np.uint8)


def pack(planes: Planes, out: Blocks | None = None) -> Blocks:
    """Pack planes, whose sizes are multiples of a block, into rows x columns x `SAMPLES`.

    A row of a block is one 32-bit word of luma or one 16-bit word of chroma, so words are moved instead of
    bytes.
    """
    y, u, v = planes
    if out is None:
        out = np.empty((y.shape[0] // BLOCK, y.shape[1] // BLOCK, SAMPLES), np.uint8)
    cv2.mixChannels(_rows(y, np.int32), [out.view(np.int32)], _pairs(LUMA_ROWS, LUMA_ROWS))
    chroma = [*_rows(u, np.int16), *_rows(v, np.int16)]
    cv2.mixChannels(chroma, [out.view(np.int16)], _pairs(CHROMA_ROWS, CHROMA_WORDS))
    return out


def unpack(blocks: Blocks, source: Planes) -> FieldPlanes:
    """Unpack rows x columns x `FIELDS` to planes.

    `source` are the planes they were computed from, limited range.
    """
    rows, columns = blocks.shape[:2]
    y, ink = (np.empty((rows * BLOCK, columns * BLOCK), np.uint8) for _ in range(2))
    u, v = (np.empty((rows * 2, columns * 2), np.uint8) for _ in range(2))
    luma = [*_rows(y, np.int32), *_rows(ink, np.int32)]
    cv2.mixChannels([blocks.view(np.int32)], luma, _pairs((*LUMA_ROWS, *INK_WORDS), range(2 * BLOCK)))
    chroma = [*_rows(u, np.int16), *_rows(v, np.int16)]
    cv2.mixChannels([blocks.view(np.int16)], chroma, _pairs(CHROMA_WORDS, CHROMA_ROWS))
    for plane, changes in zip(source, (y, u, v), strict=True):
        cv2.addWeighted(plane, 1, changes, 1, -CHANGE_ZERO, changes)
    return FieldPlanes(y, u, v, ink)


def _rows(plane: Plane, word: type[np.signedinteger[Any]]) -> list[NDArray[Any]]:
    """Return the first rows of all blocks, the second rows, and so on, as views of words: a row per block."""
    step = np.dtype(word).itemsize
    words = plane.view(word)
    return [words[row::step] for row in range(step)]


def _pairs(given: Iterable[int], taken: Iterable[int]) -> list[int]:
    """Return channels in the form that OpenCV expects."""
    return [channel for pair in zip(given, taken, strict=True) for channel in pair]
