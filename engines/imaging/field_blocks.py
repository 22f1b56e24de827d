"""The fields that a generator may give in place of a finished picture: paint and ink response, in blocks.

A picture in YUV 4:2:0 is read in blocks of 4 x 4 pixels: 16 samples of luma and 4 of each chroma plane, 24
channels at a quarter of the side. The fields are 40: the paint's 24 and 16 samples of ink response. The
paint is given as its difference from the picture: flat parts come through in the picture's own values,
whatever the network's arithmetic. `engines.looks` makes a drawing of paint and ink.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.frame import Plane, Planes

BLOCK = 4
"""Pixels of luma a side."""
SAMPLES, FIELDS = 24, 40
"""Channels of a block of picture, and of one of fields."""
CHANGE_ZERO = 128
"""Code value of a paint sample that is the picture's own: paint = picture + code - 128."""
INK_SCALE, INK_ZERO = 100, 50
"""Code value of an ink response r: 100 r + 50, so that -0.5 to 2 fit into 0 to 250."""
INK_THRESHOLD = INK_ZERO + INK_SCALE
"""Code value at which a line begins."""

Blocks = NDArray[np.uint8]
"""Rows x columns x channels, in the order luma (row by row), Cb, Cr, ink."""


@dataclass(frozen=True, slots=True)
class FieldPlanes:
    """Paint and ink response of one picture, as planes; sizes are multiples of a block."""

    y: Plane
    """Luma of the paint, H x W; limited range."""
    u: Plane
    """Cb of the paint, H/2 x W/2."""
    v: Plane
    ink: Plane
    """Response as code values, H x W: `INK_THRESHOLD` is where a line begins."""


def ink_code(response: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Code values of ink responses."""
    return np.clip(np.rint(response * INK_SCALE + INK_ZERO), 0, 255).astype(np.uint8)


def pack(planes: Planes, out: Blocks | None = None) -> Blocks:
    """Planes of a size that is a multiple of a block, as rows x columns x `SAMPLES`.

    A block's row of luma is one 32-bit word and of chroma one of 16: what is moved are words.
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
    """Rows x columns x `FIELDS` as planes; `source` are the planes that they were made of, limited range."""
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
    """The plane plus what the codes say, clipped to 0..255."""
    return np.asarray(cv2.addWeighted(plane, 1, by, 1, -CHANGE_ZERO), np.uint8)
