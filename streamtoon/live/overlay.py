"""Text and the split line over the frame in a window; never in recordings or sent frames."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engines.frame import Frame
from engines.imaging.color import yuv_to_rgb
from engines.imaging.working_size import fit

Bytes = NDArray[np.uint8]

MICROSECOND = Fraction(1, 1_000_000)
LINES = 26
"""Lines of text that fit in the height of a window."""
MIN_FONT_PIXELS = 11
_GROUND = (16, 16, 20, 168)
_INK = (245, 245, 245, 255)


def bgr(picture: Frame) -> Bytes:
    """Convert a frame to a new BGR array, H x W x 3, for OpenCV."""
    u, v = (fit(plane, picture.height, picture.width) for plane in (picture.u, picture.v))
    return np.asarray(cv2.cvtColor(yuv_to_rgb(picture.y, u, v, picture.color), cv2.COLOR_RGB2BGR), np.uint8)


def split(image: Bytes, source: Bytes, x: int) -> None:
    """Lay `source` over the left part of `image`, up to column `x`, with a line there."""
    x = min(image.shape[1], max(0, x))
    image[:, :x] = source[:, :x]
    image[:, max(0, x - 1) : x + 1] = 255


def write(image: Bytes, text: str, across: float, down: float) -> None:
    """Draw a panel of text on `image`; `across` and `down` run from 0 (left, top) to 1 (right, bottom)."""
    height, width = image.shape[:2]
    panel = _panel(text, max(MIN_FONT_PIXELS, height // LINES))[:height, :width]
    rows, columns = panel.shape[:2]
    top, left = round(down * (height - rows)), round(across * (width - columns))
    part = image[top : top + rows, left : left + columns]
    ink, alpha = panel[..., :3].astype(np.uint16), panel[..., 3:].astype(np.uint16)
    part[:] = ((ink * alpha + part * (255 - alpha)) // 255).astype(np.uint8)


@lru_cache(maxsize=32)
def _panel(text: str, size: int) -> Bytes:
    """Draw a panel of text: RGBA, H x W x 4."""
    font = ImageFont.load_default(size)
    pad = size // 2
    probe = ImageDraw.Draw(Image.new("RGBA", (1, 1)))
    left, top, right, bottom = probe.multiline_textbbox((0, 0), text, font=font, spacing=size // 3)
    box = round(right - left) + 2 * pad, round(bottom - top) + 2 * pad
    panel = Image.new("RGBA", box, _GROUND)
    draw = ImageDraw.Draw(panel)
    draw.multiline_text((pad - left, pad - top), text, fill=_INK, font=font, spacing=size // 3)
    return np.asarray(panel, np.uint8)
