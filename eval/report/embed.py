"""Embed images in the page."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from engines.common.arrays import Image
from eval.report.model import PictureRow

MAX_ROWS = 12
WEBP_QUALITY = 82
"""WebP quality, 0 to 100."""
SIDES_PIXELS = (640, 480, 360, 240)
"""Longer side of the images in pixels. The first size at which all images fit into the limit is used."""
MAX_PAGE_IMAGE_BYTES = 3_000_000
"""Limit for all images of a page in bytes, before base64 adds a third."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """One image of the page."""

    address: str
    """A data: URI of a WebP file."""
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class EmbeddedRow:
    """One row of the page's grid."""

    name: str
    photo: Embedded
    results: dict[str, Embedded]


def embed(rows: Sequence[PictureRow]) -> list[EmbeddedRow]:
    """Return the first rows with embedded images. No image is enlarged, and all share one size limit."""
    shown = rows[:MAX_ROWS]
    for side in SIDES_PIXELS:
        coded = [{name: _code(image, side) for name, image in _images(row)} for row in shown]
        if sum(len(data) for row in coded for data, _, _ in row.values()) <= MAX_PAGE_IMAGE_BYTES:
            break
    embedded = [{name: _embedded(*value) for name, value in row.items()} for row in coded] if shown else []
    return [
        EmbeddedRow(row.name, images[None], {name: images[name] for name in row.results})
        for row, images in zip(shown, embedded, strict=True)
    ]


def _images(row: PictureRow) -> list[tuple[str | None, Image]]:
    """Return the images with their candidates. The photo's candidate is None."""
    return [(None, row.photo), *row.results.items()]


def _code(image: Image, side: int) -> tuple[bytes, int, int]:
    height, width = image.shape[:2]
    scale = min(1.0, side / max(height, width))
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA) if scale < 1 else image
    bgr = cv2.cvtColor(np.ascontiguousarray(small), cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".webp", bgr, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
    assert done, "WebP supports every image of this size"
    return data.tobytes(), width, height


def _embedded(data: bytes, width: int, height: int) -> Embedded:
    return Embedded("data:image/webp;base64," + base64.b64encode(data).decode("ascii"), width, height)
