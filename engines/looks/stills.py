"""Rendering a look over photographs without an engine, for training and its data."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Image
from engines.frame import ColorInfo
from engines.imaging.color import rgb_to_yuv, yuv_to_rgb
from engines.imaging.field_blocks import BLOCK, Blocks, FieldPlanes, pack, unpack
from engines.imaging.working_size import extend, fit
from engines.looks.look import Look
from engines.looks.renderer import LookRenderer

COLOR = ColorInfo("bt709", full_range=False)
"""Colour of the planes between generator and look."""

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


def draw_still(generator: Callable[[Blocks], Blocks], photo: Image, look: Look | None = None) -> Image:
    """Return the drawing of an H x W x 3 RGB photograph of any size; `look` None means the default look.

    `generator` maps rows x columns x 24 samples to rows x columns x 40 fields, both as code values.
    """
    planes = _planes(photo)
    fields = unpack(generator(pack(planes)), planes)
    return _finished(fields, look or Look(), photo.shape[0], photo.shape[1])


def finish_still(paint: Image, ink: NDArray[np.uint8], look: Look) -> Image:
    """Return the drawing of H x W x 3 RGB paint and H x W ink codes of any size."""
    height, width = ink.shape
    y, u, v = _planes(paint)
    return _finished(FieldPlanes(y, u, v, extend(ink, *y.shape)), look, height, width)


def _planes(photo: Image) -> Planes:
    """Return 4:2:0 planes of whole blocks."""
    rows, columns = (-(-side // BLOCK) * BLOCK for side in photo.shape[:2])
    y, u, v = rgb_to_yuv(extend(photo, rows, columns), COLOR)
    return y, fit(u, rows // 2, columns // 2), fit(v, rows // 2, columns // 2)


def _finished(fields: FieldPlanes, look: Look, height: int, width: int) -> Image:
    rows, columns = fields.y.shape
    y, u, v = LookRenderer(look, COLOR, rows, columns)(fields)
    drawing = yuv_to_rgb(y, fit(u, rows, columns), fit(v, rows, columns), COLOR)
    return np.ascontiguousarray(drawing[:height, :width])
