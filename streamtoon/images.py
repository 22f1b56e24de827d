"""Photos and animations in and out, by Pillow: it knows EXIF, colour profiles, timings and loop counts."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, ImageSequence, UnidentifiedImageError

from streamtoon.errors import InputError, OutputError
from streamtoon.media.files import HiddenFile
from streamtoon.report import ImageFacts

FORMATS = {
    ".bmp": "BMP",
    ".gif": "GIF",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
"""What can be written, by suffix."""
SUFFIXES = frozenset(FORMATS)
"""What is taken for a picture in a folder; a file named by itself may be called anything."""

READ = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "QOI", "TIFF", "WEBP")
"""What is read (MPO is a JPEG): nothing that is more than a picture. Pillow's EPS would start Ghostscript."""
MAX_ANIMATION = 2**28
"""Pixels in all frames of an animation together, which stay in memory: 130 frames of 1080p, about 1 GB."""
_OPAQUE = ("BMP", "JPEG")
_ANIMATED = ("GIF", "PNG", "WEBP")
_SAVE: dict[str, dict[str, Any]] = {
    # 4:4:4: a drawing's edges lie in colour as much as in light.
    "JPEG": {"quality": 95, "subsampling": 0, "optimize": True},
    "TIFF": {"compression": "tiff_lzw"},
    "WEBP": {"quality": 95, "method": 4},
}


@dataclass(slots=True)
class _Photo:
    """A picture file as read: upright RGB or RGBA frames with all that has to be kept."""

    format: str
    frames: list[Image.Image]
    durations: list[float] = field(default_factory=list)
    """Milliseconds; empty for a still."""
    plays: int = 0
    """How often an animation is shown; 0 is for ever."""
    profile: bytes | None = None
    exif: bytes | None = None
    warnings: list[str] = field(default_factory=list)


def convert(
    cartoonize: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    source: Path,
    target: Path,
    *,
    overwrite: bool,
) -> tuple[ImageFacts, ImageFacts, list[str]]:
    """Read `source`, put each frame's colours through `cartoonize` and write `target`, whole or not at all.

    Gives the facts of both files and what could not be kept. Raises InputError and OutputError.
    """
    form = _format(target)
    file = HiddenFile(target, source=source, overwrite=overwrite)
    photo = _read(source)
    read = _facts(source, photo.format, photo.frames)
    if len(photo.frames) > 1 and form not in _ANIMATED:
        photo.warnings.append(
            f"{form} holds no animation: only the first of {read.frames} frames was written."
        )
        del photo.frames[1:]
    if form in _OPAQUE and photo.frames[0].mode == "RGBA":
        photo.warnings.append(f"{form} has no transparency: {source.name} was laid on white.")
        _each(photo.frames, _on_white)
    _each(photo.frames, lambda frame: _drawn(cartoonize, frame))
    _write(photo, file, form)
    return read, _facts(target, form, photo.frames), photo.warnings


def _each(frames: list[Image.Image], change: Callable[[Image.Image], Image.Image]) -> None:
    """Change each frame in its place, so that an animation is in memory once and not twice."""
    for n, frame in enumerate(frames):
        frames[n] = change(frame)


def _format(target: Path) -> str:
    form = FORMATS.get(target.suffix.lower())
    if form is None:
        known = ", ".join(sorted(FORMATS))
        raise OutputError(f"{target} names no picture format by its extension; use one of {known}.")
    return form


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Pillow's many ways to fail on a file, as one."""
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would keep us waiting
            raise InputError(f"{path} is no file, expected a picture.")
        with warnings.catch_warnings():
            # Pillow warns from 89 megapixels on, which a camera may have, and refuses twice that by itself.
            warnings.simplefilter("ignore")
            yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder, expected a picture.") from None
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except UnidentifiedImageError:
        what = "is empty" if path.stat().st_size == 0 else "is no picture in a format known here"
        raise InputError(f"{path} {what}.") from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{path} is larger than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} megapixels."
        ) from None
    except InputError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
        raise InputError(f"{path} is damaged: {_one_line(error)}.") from error
    except MemoryError as error:
        raise InputError(f"{path} asks for more memory than there is.") from error
    except Exception as error:  # Pillow's readers fail on broken files in every way that Python has
        raise InputError(f"{path} is damaged: {_one_line(error)}.") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _read(path: Path) -> _Photo:
    with _reading(path), Image.open(path, formats=READ) as image:
        photo = _Photo("JPEG" if image.format == "MPO" else image.format or "", [])
        if image.mode == "F":
            raise InputError(f"{path} holds floating-point values: convert it to 8 or 16 bit first.")
        if _is_deep(image):
            photo.warnings.append(f"{path.name} has 16 bits per channel: delivered with 8.")
        count = getattr(image, "n_frames", 1)
        if count > 1 and photo.format in _ANIMATED:
            if count * image.width * image.height > MAX_ANIMATION:
                raise InputError(
                    f"{path} has {count} frames of {image.width}x{image.height}, too much to hold in memory: "
                    "make a video of it, and convert that with streamtoon video."
                )
            _read_animation(image, photo)
        else:
            # A phone's JPEG holds a preview as a second frame (MPO): nobody misses that one.
            if count > 1 and image.format != "MPO":
                photo.warnings.append(f"{path.name} has {count} pages: only the first was converted.")
            upright = ImageOps.exif_transpose(image)
            photo.frames.append(_in_colour(upright))
            photo.exif = upright.info.get("exif")
        photo.profile = _rgb_profile(image)
    return photo


def _read_animation(image: Image.Image, photo: _Photo) -> None:
    for frame in ImageSequence.Iterator(image):
        photo.frames.append(_in_colour(frame))
        photo.durations.append(float(frame.info.get("duration", 0)))
    if any(frame.mode == "RGBA" for frame in photo.frames):
        _each(photo.frames, lambda frame: frame.convert("RGBA"))
    # A GIF says how often it is repeated, and nothing for never; the others say how often it is shown.
    loop = image.info.get("loop")
    if photo.format == "GIF":
        photo.plays = 1 if loop is None else loop and loop + 1
    else:
        photo.plays = 0 if loop is None else loop


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or any(";16" in str(tile) for tile in getattr(image, "tile", ()))


def _in_colour(image: Image.Image) -> Image.Image:
    """A frame of any mode as RGB, or RGBA where anything in it is transparent."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        image = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("CMYK", "L", "LAB") and (profile := image.info.get("icc_profile")):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            done = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            done = None  # a broken profile: as if there were none
        if done is not None:
            return done
    return image.convert("RGB")


def _rgb_profile(image: Image.Image) -> bytes | None:
    """The colour profile, where it speaks of RGB (bytes 16 to 19 of its header, ICC.1)."""
    profile: bytes | None = image.info.get("icc_profile")
    return profile if profile and profile[16:20] == b"RGB " else None


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _drawn(cartoonize: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], frame: Image.Image) -> Image.Image:
    pixels = np.asarray(frame)
    drawn = cartoonize(np.ascontiguousarray(pixels[..., :3]))
    if frame.mode == "RGBA":
        drawn = np.dstack([drawn, pixels[..., 3]])
    return Image.fromarray(drawn)


def _write(photo: _Photo, file: HiddenFile, form: str) -> None:
    options: dict[str, Any] = dict(_SAVE.get(form, {}))
    if photo.profile:
        options["icc_profile"] = photo.profile
    if photo.exif and form in ("JPEG", "PNG", "WEBP"):
        options["exif"] = photo.exif
    first, *others = photo.frames
    if others:
        options |= _animation_options(photo, form)
        options["append_images"] = others
    file.create()
    try:
        first.save(file.hidden, format=form, **options)
        file.publish()
    except OSError as error:
        raise OutputError(f"{file.path} cannot be written: {error.strerror or error}.") from error
    except ValueError as error:  # a size beyond the format: WebP ends at 16383 pixels
        raise OutputError(f"{file.path} cannot be written as {form}: {error}.") from error
    finally:
        file.discard()


def _animation_options(photo: _Photo, form: str) -> dict[str, Any]:
    options: dict[str, Any] = {"save_all": True, "duration": [round(each) for each in photo.durations]}
    if form != "GIF":
        options["loop"] = photo.plays
    elif photo.plays != 1:
        options["loop"] = photo.plays and photo.plays - 1
    if form == "GIF" and photo.frames[0].mode == "RGBA":
        options["disposal"] = 2  # clear each frame first: the one before must not shine through
    return options


def _facts(path: Path, form: str, frames: list[Image.Image]) -> ImageFacts:
    return ImageFacts(str(path), form, frames[0].width, frames[0].height, len(frames))
