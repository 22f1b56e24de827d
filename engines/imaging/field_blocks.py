"""Fields, which a generator may give instead of an RGB image: paint and ink response, in blocks.

A frame in YUV 4:2:0 is read in blocks of 4 x 4 pixels: 16 samples of luma and 4 of each chroma plane, 24
channels at a quarter of each side. Fields have 40 channels: 24 for the paint and 16 samples of ink response.
The paint is stored as its difference from the frame, so flat areas keep the frame's own values whatever the
network's precision. `engines.looks` turns paint and ink into a drawing.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    y, u, v = (np.ascontiguousarray(plane) for plane in planes)
    rows, columns = y.shape[0] // BLOCK, y.shape[1] // BLOCK
    if out is None:
        out = np.empty((rows, columns, SAMPLES), np.uint8)
    words = out.view(np.uint32)
    words[:, :, :4] = y.view(np.uint32).reshape(rows, BLOCK, columns).transpose(0, 2, 1)
    halves = out.view(np.uint16)
    for at, plane in ((8, u), (10, v)):
        halves[:, :, at : at + 2] = plane.view(np.uint16).reshape(rows, 2, columns).transpose(0, 2, 1)
    return out


def unpack(blocks: Blocks, source: Planes) -> FieldPlanes:
    """Unpack rows x columns x `FIELDS` to planes.

    `source` are the planes they were computed from, limited range.
    """
    rows, columns = blocks.shape[:2]
    blocks = np.ascontiguousarray(blocks)
    words, halves = blocks.view(np.uint32), blocks.view(np.uint16)

    def full(first: int) -> Plane:
        plane = np.empty((rows * BLOCK, columns * BLOCK), np.uint8)
        by_block = plane.view(np.uint32).reshape(rows, BLOCK, columns)
        by_block[...] = words[:, :, first : first + 4].transpose(0, 2, 1)
        return plane

    def half(first: int) -> Plane:
        plane = np.empty((rows * 2, columns * 2), np.uint8)
        by_block = plane.view(np.uint16).reshape(rows, 2, columns)
        by_block[...] = halves[:, :, first : first + 2].transpose(0, 2, 1)
        return plane

    y, u, v = (_changed(plane, by) for plane, by in zip(source, (full(0), half(8), half(10)), strict=True))
    return FieldPlanes(y, u, v, full(6))


def _changed(plane: Plane, by: Plane) -> Plane:
    """Return the plane plus the signed changes, clipped to 0..255."""
    return np.asarray(cv2.addWeighted(plane, 1, by, 1, -CHANGE_ZERO), np.uint8)
