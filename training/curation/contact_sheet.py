"""Contact sheets: many images on one page, each with a line of text."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engines.common import arrays, image_files
from engines.errors import StreamtoonError

COLUMNS = 6
ROWS = 8
CELL_PIXELS = 300
"""Width, and largest height, of an image on the sheet."""
GAP_PIXELS = 14
CAPTION_PIXELS = 30
"""Height of a caption."""
HEADER_PIXELS = 64
GROUND = (28, 28, 30)
TEXT = (214, 214, 214)
DIM = (150, 150, 152)


@dataclass(frozen=True, slots=True)
class SheetCell:
    """One image of a sheet."""

    picture: Callable[[], arrays.Image]
    """Returns H x W x 3 RGB."""
    caption: str
    note: str = ""
    """Dimmed text after the caption."""


def file_cell(path: Path, caption: str, note: str = "") -> SheetCell:
    """Return a cell for an image file, which is read when its page is drawn."""
    return SheetCell(lambda: image_files.read_image(path), caption, note)


def write_sheets(folder: Path, name: str, title: str, cells: Sequence[SheetCell]) -> list[Path]:
    """Write pages of `cells` as NAME-1.jpg, NAME-2.jpg and so on in `folder`, and return their paths.

    Additional pages of an earlier, longer set are removed. An image that cannot be read leaves a grey cell.
    Raises StreamtoonError if a page cannot be written.
    """
    size = COLUMNS * ROWS
    pages = [cells[n : n + size] for n in range(0, len(cells), size)]
    paths = []
    for number, page in enumerate(pages, 1):
        head = title if len(pages) == 1 else f"{title}   page {number} of {len(pages)}"
        paths.append(folder / f"{name}-{number}.jpg")
        image_files.write_image(paths[-1], draw_sheet(head, page), quality=90)
    for old in folder.glob(f"{name}-*.jpg"):
        if old not in paths:
            old.unlink()
    return paths


def draw_sheet(title: str, cells: Sequence[SheetCell]) -> arrays.Image:
    """Draw one page, COLUMNS cells wide, with as many rows as needed."""
    pictures = [_fitted(cell) for cell in cells]
    tall = max((picture.height for picture in pictures if picture), default=CELL_PIXELS // 2)
    columns = min(COLUMNS, max(3, len(cells)))
    rows = -(-len(cells) // columns)
    width = columns * (CELL_PIXELS + GAP_PIXELS) + GAP_PIXELS
    sheet = Image.new(
        "RGB", (width, HEADER_PIXELS + rows * (tall + CAPTION_PIXELS + GAP_PIXELS) + GAP_PIXELS), GROUND
    )
    draw = ImageDraw.Draw(sheet)
    draw.text(
        (GAP_PIXELS, HEADER_PIXELS // 2), _drawable(title), TEXT, ImageFont.load_default(26), anchor="lm"
    )
    font = ImageFont.load_default(17)
    for n, (cell, picture) in enumerate(zip(cells, pictures, strict=True)):
        left = GAP_PIXELS + n % columns * (CELL_PIXELS + GAP_PIXELS)
        top = HEADER_PIXELS + n // columns * (tall + CAPTION_PIXELS + GAP_PIXELS)
        if picture:
            sheet.paste(picture, (left + (CELL_PIXELS - picture.width) // 2, top + tall - picture.height))
        else:
            draw.rectangle((left, top, left + CELL_PIXELS - 1, top + tall - 1), (60, 60, 62))
        line = top + tall + CAPTION_PIXELS // 2 + 1
        draw.text((left, line), cell.caption, TEXT, font, anchor="lm")
        draw.text((left + CELL_PIXELS, line), cell.note, DIM, font, anchor="rm")
    return np.asarray(sheet, np.uint8)


def _drawable(text: str) -> str:
    """Return `text` in ASCII, which Pillow's font supports: without accents, and "?" for other characters."""
    letters = (each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    return "".join(each if each.isascii() and each.isprintable() else "?" for each in letters)


def _fitted(cell: SheetCell) -> Image.Image | None:
    try:
        picture = Image.fromarray(cell.picture())
    except StreamtoonError:
        return None
    factor = min(CELL_PIXELS / picture.width, CELL_PIXELS / picture.height)
    size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
    return picture.resize(size, Image.Resampling.LANCZOS)
