"""Converting photos and animations with Pillow, which handles colour profiles, timings and loop counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from streamtoon.errors import OutputError, write_error
from streamtoon.images.formats import FORMATS
from streamtoon.images.reader import ANIMATED, Photo, map_frames, read_photo
from streamtoon.media.writer.output_file import HiddenFile
from streamtoon.reports import ImageFacts

_OPAQUE = ("BMP", "JPEG")
_SAVE: dict[str, dict[str, Any]] = {
    # 4:4:4, because the edges of a cartoon are in chroma as well as in luma.
    "AVIF": {"quality": 90, "subsampling": "4:4:4"},
    "JPEG": {"quality": 95, "subsampling": 0, "optimize": True},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"quality": 95, "method": 4},
}


def convert(
    cartoonize: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    source: Path,
    target: Path,
    *,
    overwrite: bool,
    side_by_side: bool = False,
) -> tuple[ImageFacts, ImageFacts, list[str]]:
    """Read `source`, apply `cartoonize` to the colours of each frame, and write `target` completely or not at
    all.

    Args:
        cartoonize: Maps an RGB image to its cartoon, both uint8 of height x width x 3.
        source: The image file to read.
        target: The image file to write. Its suffix decides the format.
        overwrite: Whether an existing `target` may be replaced.
        side_by_side: Whether to put the cartoon to the right of its source.

    Returns:
        The facts of both files, and warnings about what could not be preserved.

    Raises:
        InputError: `source` cannot be read.
        OutputError: `target` cannot be written.
    """
    form = _format(target)
    file = HiddenFile(target, source=source, overwrite=overwrite)
    photo = read_photo(source)
    read = _facts(source, photo.format, photo.frames)
    if len(photo.frames) > 1 and form not in ANIMATED:
        photo.warnings.append(
            f"{form} does not support animation: only the first of {read.frames} frames was written."
        )
        del photo.frames[1:]
    if len(photo.frames) > 1 and form == "AVIF" and photo.plays:
        photo.warnings.append("The loop count cannot be written to AVIF: the animation will repeat for ever.")
    if form in _OPAQUE and photo.frames[0].mode == "RGBA":
        photo.warnings.append(
            f"{form} has no transparency: transparent parts of {source.name} were put on white."
        )
        map_frames(photo.frames, _on_white)
    map_frames(photo.frames, lambda frame: _drawn(cartoonize, frame, side_by_side=side_by_side))
    photo.warnings += _write(photo, file, form, is_whole=not side_by_side)
    return read, _facts(target, form, photo.frames), photo.warnings


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Return the first frame of an image file, upright, uint8 of H x W x 3, with transparent parts on white.

    Raises InputError.
    """
    frame = read_photo(path).frames[0]
    return np.asarray(_on_white(frame) if frame.mode == "RGBA" else frame.convert("RGB"), np.uint8)


def _format(target: Path) -> str:
    form = FORMATS.get(target.suffix.lower())
    if form is None:
        known = ", ".join(sorted(FORMATS))
        raise OutputError(f"{target} has no known image extension; use one of {known}.")
    if form == "AVIF" and not features.check("avif"):
        raise OutputError(f"{target} cannot be written: this Pillow has no AVIF support. Use .webp or .png.")
    return form


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _drawn(
    cartoonize: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], frame: Image.Image, *, side_by_side: bool
) -> Image.Image:
    pixels = np.asarray(frame)
    drawn = cartoonize(np.ascontiguousarray(pixels[..., :3]))
    if frame.mode == "RGBA":
        drawn = np.dstack([drawn, pixels[..., 3]])
    return Image.fromarray(np.hstack([pixels, drawn]) if side_by_side else drawn)


def _write(photo: Photo, file: HiddenFile, form: str, *, is_whole: bool) -> list[str]:
    """Write the photo and return warnings about metadata that could not be preserved."""
    first, *others = photo.frames
    told = len(photo.metadata.warnings)
    options: dict[str, Any] = dict(_SAVE.get(form, {}))
    options |= photo.metadata.options(form, *first.size, is_whole=is_whole)
    if photo.profile:
        options["icc_profile"] = photo.profile
    if others:
        options |= _animation_options(photo, form)
        options["append_images"] = others
    file.create()
    try:
        first.save(file.hidden, format=form, **options)
        if form == "TIFF":
            photo.metadata.put_into_tiff(file.hidden, *first.size, is_whole=is_whole)
        file.publish()
    except OSError as error:
        raise write_error(file.path, error) from error
    except (RuntimeError, ValueError) as error:  # too large for the format: WebP ends at 16383 pixels
        raise OutputError(f"{file.path} cannot be written as {form}: {error}.") from error
    finally:
        file.discard()
    return photo.metadata.warnings[told:]


def _animation_options(photo: Photo, form: str) -> dict[str, Any]:
    options: dict[str, Any] = {"save_all": True, "duration": [round(time) for time in photo.durations]}
    if form == "GIF":
        if photo.plays != 1:
            options["loop"] = photo.plays and photo.plays - 1
        if photo.frames[0].mode == "RGBA":
            options["disposal"] = 2  # clear each frame first, so that the one before does not show through
    elif form != "AVIF":
        options["loop"] = photo.plays
    return options


def _facts(path: Path, form: str, frames: list[Image.Image]) -> ImageFacts:
    return ImageFacts(str(path), form, frames[0].width, frames[0].height, len(frames))
