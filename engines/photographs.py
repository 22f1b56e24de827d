"""Photographs that every installation has: the upper rows of the shipped styles' before/after pictures.

What a built engine is tried on and what a quantized one is calibrated by, before a user's picture comes.
"""

from __future__ import annotations

import cv2
import numpy as np

from engines.backends.base import PlanesTask
from engines.colour import rgb_to_yuv
from engines.errors import EngineError
from engines.picture import Colour
from engines.picture_files import Image, read_picture
from engines.reuse import Planes
from engines.style import available_styles
from engines.working_size import extend, fit

ROWS = 2
"""Of a preview: the photographs, their cartoons."""
SHAPE = 16 / 9
"""Width over height of each."""


def photographs() -> list[Image]:
    """H x W x 3 RGB each. Raises EngineError where no style with a preview is shipped."""
    found: list[Image] = []
    for style in available_styles():
        if style.preview is not None:
            picture = read_picture(style.preview)
            row = picture[: picture.shape[0] // ROWS]
            count = max(1, round(row.shape[1] / (row.shape[0] * SHAPE)))
            width = row.shape[1] // count
            found += [row[:, at * width : (at + 1) * width] for at in range(count)]
    if not found:
        raise EngineError("an engine cannot be tried here, for no style with a preview is shipped")
    return found


def as_planes(image: Image, task: PlanesTask) -> Planes:
    """A picture as the task's: size, chroma size, colour."""
    colour = Colour(task.matrix, full_range=task.full_range)
    sized = cv2.resize(image, (task.width, task.height), interpolation=cv2.INTER_AREA)
    even = extend(np.asarray(sized, np.uint8), task.size.height, task.size.width)
    y, u, v = rgb_to_yuv(even, colour)
    chroma = (task.chroma_height, task.chroma_width)
    return np.ascontiguousarray(y[: task.height, : task.width]), fit(u, *chroma), fit(v, *chroma)
