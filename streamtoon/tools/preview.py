"""A preview: one frame of a video, or a photo, in every style, as one labelled image."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engines.registry.look_changes import Changes, as_texts, with_look
from engines.registry.style import Style, load_style
from streamtoon.errors import InputError, OutputError, StyleError
from streamtoon.images.formats import FORMATS
from streamtoon.media.writer.output_file import HiddenFile
from streamtoon.tools.every_style import in_every_style

Rgb = NDArray[np.uint8]
"""H x W x 3, 0..255."""
TILE_AREA = 640 * 360
"""Approximate pixels of a tile: enough to judge lines, and eight tiles fit on a screen."""
MAX_SIDE_PIXELS = 1280
"""A larger frame is reduced before drawing, as no tile shows more."""
GAP_PIXELS, LABEL_PIXELS = 12, 34
BACKGROUND, TEXT, QUIET_TEXT = (250, 249, 246), (24, 22, 28), (120, 116, 124)


@dataclass(frozen=True, slots=True)
class Preview:
    """The result of a preview."""

    output: Path
    width: int
    """Pixels of the sheet."""
    height: int
    styles: tuple[str, ...]
    """In the order of the tiles, after the source."""
    skipped: dict[str, str]
    """Styles that failed, with the reason."""


def preview(
    source: Path,
    target: Path,
    styles: Iterable[str],
    *,
    at: float | None = None,
    look: Changes | None = None,
    overwrite: bool = False,
    show: Callable[[str], object] = lambda style: None,
) -> Preview:
    """Draw one frame in several styles and write them as one labelled image.

    A style that cannot draw, or has no look although `look` is given, is skipped and reported.

    Args:
        source: A photo or a video.
        target: The image to write.
        styles: Names or folders of styles.
        at: Time of the frame in seconds; None takes a third of the video's length.
        look: Changes to the look of every style.
        overwrite: Replace an existing file.
        show: Called with the name of each style.

    Raises:
        InputError: The source cannot be read.
        OutputError: The target cannot be written.
        StyleError: A change to the look is wrong, or no style can draw.
    """
    if target.suffix.lower() not in FORMATS:
        known = ", ".join(sorted(FORMATS))
        raise OutputError(f"{target} has no known image extension; use one of {known}.")
    file = HiddenFile(target, source=source, overwrite=overwrite)
    changes = as_texts(look or {})
    frame = _reduced(read_frame(source, at), MAX_SIDE_PIXELS**2 * 9 // 16)
    loaded: dict[str, Style] = {}
    skipped: dict[str, str] = {}
    for name in styles:
        try:
            loaded[name] = with_look(load_style(name), changes)
        except StyleError as error:
            skipped[name] = str(error)
    if not loaded:
        raise StyleError(f"no style can draw {source}: {next(iter(skipped.values()), 'no style was named')}")
    names, drawn = list(loaded), {}
    for place, cartoon in in_every_style(frame, list(loaded.values())):
        show(names[place])
        drawn[names[place]] = cartoon
    tiles = [("source", "", frame), *((style.title, name, drawn[name]) for name, style in loaded.items())]
    sheet = _sheet(tiles)
    file.create()
    try:
        sheet.save(file.hidden, format=FORMATS[target.suffix.lower()], quality=92)
        file.publish()
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}.") from error
    finally:
        file.discard()
    return Preview(target, sheet.width, sheet.height, tuple(name for _, name, _ in tiles[1:]), skipped)


def read_frame(source: Path, at: float | None = None) -> Rgb:
    """Read an upright frame of a photo or a video. Raises InputError.

    `at` is the time in seconds, for videos only; None takes a third of the length.
    """
    if _is_photo(source):
        if at is not None:
            raise InputError(f"{source} is a photo; --at is for videos.")
        from streamtoon.images.convert import read_rgb

        return read_rgb(source)
    from streamtoon.tools.film import Film

    film = Film(source)
    length = film.info.duration or 0.0
    if at is not None and length and at >= length:
        raise InputError(f"{source} is {length:.1f} s long; it has no frame at {at:g} s.")
    box = film.whole()
    for frame in film.frames(box, length / 3 if at is None else at):
        assert frame.picture is not None, "the film provides the frame that it has just yielded"
        return frame.picture()
    raise InputError(f"{source} has no frame at {at or 0:g} s.")


def _is_photo(source: Path) -> bool:
    """Return whether a file is read as an image, or as an animation, by its first frame."""
    if not source.exists():
        raise InputError(f"{source} does not exist.")
    from streamtoon.images.reader import is_image

    return is_image(source)


def _reduced(frame: Rgb, area: int) -> Rgb:
    """Shrink a frame to at most `area` pixels."""
    height, width = frame.shape[:2]
    scale = (area / (height * width)) ** 0.5
    if scale >= 1:
        return frame
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), np.uint8)


def _sheet(tiles: list[tuple[str, str, Rgb]]) -> Image.Image:
    """Arrange labelled tiles in columns, so that the sheet is close to a screen's 16:10."""
    images = [_reduced(frame, TILE_AREA) for _, _, frame in tiles]
    height, width = images[0].shape[:2]

    def size(columns: int) -> tuple[int, int]:
        rows = -(-len(tiles) // columns)
        return columns * (width + GAP_PIXELS) + GAP_PIXELS, rows * (
            height + LABEL_PIXELS + GAP_PIXELS
        ) + GAP_PIXELS

    columns = min(range(1, len(tiles) + 1), key=lambda n: abs(np.log(size(n)[0] / size(n)[1] / 1.6)))
    sheet = Image.new("RGB", size(columns), BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(19)
    for n, ((title, name, _), image) in enumerate(zip(tiles, images, strict=True)):
        left = GAP_PIXELS + n % columns * (width + GAP_PIXELS)
        top = GAP_PIXELS + n // columns * (height + LABEL_PIXELS + GAP_PIXELS)
        sheet.paste(Image.fromarray(image), (left, top))
        baseline = top + height + LABEL_PIXELS // 2
        draw.text((left + 2, baseline), title, TEXT, font, anchor="lm")
        if name:
            after = left + 2 + draw.textlength(title, font) + 10
            draw.text((after, baseline), f"--style {name}", QUIET_TEXT, font, anchor="lm")
    return sheet
