"""Reading photos and animations as upright RGB or RGBA, with their metadata."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageSequence, UnidentifiedImageError

from streamtoon.errors import CorruptInputError, InputError, UnsupportedFormatError
from streamtoon.images.exif import ORIENTATION
from streamtoon.images.formats import READ
from streamtoon.images.metadata import Metadata, read_metadata
from streamtoon.images.png_text import REPORTED_TEXT_BYTES, PlainPng, plain_png

MAX_ANIMATION_PIXELS = 2**28
"""Maximum pixels in all frames of an animation, which are held in memory: 130 frames of 1080p, about 1 GB."""
ANIMATED = ("AVIF", "GIF", "PNG", "WEBP")
"""Formats of animations. In other formats, further frames are pages, layers or previews."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transformation that turns an image upright, by EXIF orientation."""
_HDR = {16: "PQ", 18: "HLG"}
"""HDR transfer functions by their code in ITU-T H.273."""


@dataclass(slots=True)
class Photo:
    """The content of an image file: upright RGB or RGBA frames with their metadata."""

    format: str
    frames: list[Image.Image]
    durations: list[float] = field(default_factory=list)
    """Milliseconds per frame; empty for a still image."""
    plays: int = 0
    """How often an animation plays; 0 means for ever."""
    profile: bytes | None = None
    metadata: Metadata = field(default_factory=Metadata)
    warnings: list[str] = field(default_factory=list)


@contextmanager
def open_image(path: Path) -> Iterator[tuple[Image.Image, PlainPng | None]]:
    """Open the image in `path` without decoding it. For a PNG, also yield the parts taken out of it.

    Raises InputError, also for any error within the block.
    """
    _register_heif()
    with _translate_errors(path), ExitStack() as stack:
        plain = plain_png(path)
        image = stack.enter_context(Image.open(plain.file if plain else path, formats=list(READ)))
        yield image, plain


def is_image(path: Path) -> bool:
    """Return whether a file begins like a supported image or animation."""
    try:
        with open_image(path):
            return True
    except InputError:
        return False


def read_photo(path: Path) -> Photo:
    """Read all frames and metadata of an image file. Raises InputError."""
    with open_image(path) as (image, plain):
        photo = Photo("JPEG" if image.format == "MPO" else image.format or "", [])
        if image.mode == "F":
            raise UnsupportedFormatError(
                f"{path} contains floating-point values. Convert it to 8 or 16 bits per channel first."
            )
        photo.warnings += _depth_warnings(image, path)
        count = getattr(image, "n_frames", 1)
        if count > 1 and photo.format in ANIMATED:
            if count * image.width * image.height > MAX_ANIMATION_PIXELS:
                raise InputError(
                    f"{path} has {count} frames of {image.width}x{image.height}, too many to hold in "
                    "memory. Convert it to a video file, and that with `streamtoon video`."
                )
            _read_animation(image, photo)
        else:
            # The second frame of a phone's JPEG (MPO) is a preview, and those of a PSD are layers. Neither is
            # missed.
            if count > 1 and image.format not in ("MPO", "PSD"):
                photo.warnings.append(f"{path.name} has {count} pages: only the first was converted.")
            photo.frames.append(_in_color(image))
        turn = _TURNS.get(_orientation(image))
        if turn is not None:
            map_frames(photo.frames, lambda frame: frame.transpose(turn))
        photo.profile = _rgb_profile(plain.profile if plain else image.info.get("icc_profile"))
        photo.metadata = read_metadata(image, path)
        photo.warnings += [*photo.metadata.warnings, *_png_warnings(plain, path)]
    return photo


def map_frames(frames: list[Image.Image], change: Callable[[Image.Image], Image.Image]) -> None:
    """Replace each frame by its changed version, one by one, so that memory holds the animation only once."""
    for n, frame in enumerate(frames):
        frames[n] = change(frame)


@cache
def _register_heif() -> None:
    """Register HEIF with Pillow, without thumbnails, depth and auxiliary images."""
    from pillow_heif import options, register_heif_opener

    register_heif_opener(thumbnails=False)
    options.DEPTH_IMAGES = options.AUX_IMAGES = False


@contextmanager
def _translate_errors(path: Path) -> Iterator[None]:  # noqa: C901 (a row for each of Pillow's exceptions)
    """Translate Pillow's many exceptions into InputError and its subclasses."""
    if path.exists() and not path.is_file() and not path.is_dir():  # a pipe would block
        raise InputError(f"{path} is not a regular file. Give an image file.")
    try:
        with warnings.catch_warnings():
            # Pillow warns above 89 megapixels, which cameras reach, and refuses twice that anyway.
            warnings.simplefilter("ignore")
            yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder. Give an image file.") from None
    except PermissionError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except UnidentifiedImageError:
        if path.stat().st_size == 0:
            raise CorruptInputError(f"{path} is empty.") from None
        raise UnsupportedFormatError(f"{path} is not an image in a supported format.") from None
    except Image.DecompressionBombError:
        raise InputError(
            f"{path} is larger than {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} megapixels, the limit."
        ) from None
    except InputError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise InputError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
        raise CorruptInputError(f"{path} is damaged: {_one_line(error)}.") from error
    except MemoryError as error:
        raise InputError(f"{path} needs more memory than is available.") from error
    except Exception as error:  # Pillow's readers raise every kind of exception for corrupt files
        raise CorruptInputError(f"{path} is damaged: {_one_line(error)}.") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _read_animation(image: Image.Image, photo: Photo) -> None:
    for frame in ImageSequence.Iterator(image):
        photo.frames.append(_in_color(frame))
        photo.durations.append(float(frame.info.get("duration", 0)))
    if any(frame.mode == "RGBA" for frame in photo.frames):
        map_frames(photo.frames, lambda frame: frame.convert("RGBA"))
    # GIF stores the number of repetitions, or nothing for no repetition. Other formats store the number of
    # plays.
    loop = image.info.get("loop")
    if photo.format == "GIF":
        photo.plays = 1 if loop is None else loop and loop + 1
    else:
        photo.plays = 0 if loop is None else loop


def _orientation(image: Image.Image) -> int:
    """Return the orientation from EXIF or else XMP; 1 if it is missing or invalid."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # broken EXIF raises many kinds of exceptions, and the image itself is still readable
        return 1
    return value if isinstance(value, int) else 1


def _depth_warnings(image: Image.Image, path: Path) -> list[str]:
    """Return warnings for an image with more than 8 bits per channel or with high dynamic range."""
    is_deep = image.mode.startswith("I") or any(";16" in str(tile) for tile in getattr(image, "tile", ()))
    depth = 16 if is_deep else image.info.get("bit_depth", 8)
    said = [f"{path.name} has {depth} bits per channel: the output has 8."] if depth > 8 else []
    color = image.info.get("nclx_profile")
    hdr = _HDR.get(color.get("transfer_characteristics", 0)) if isinstance(color, dict) else None
    if hdr:
        said.append(
            f"{path.name} has high dynamic range ({hdr}), which is not tone-mapped: the result looks flat."
        )
    return said


def _png_warnings(plain: PlainPng | None, path: Path) -> list[str]:
    said = []
    if plain and plain.size >= REPORTED_TEXT_BYTES:
        said.append(f"{path.name}: its embedded text was left out ({', '.join(plain.texts[:5])}).")
    if plain and plain.is_odd:
        said.append(f"{path.name}: the colour profile cannot be read and was left out.")
    return said


def _in_color(image: Image.Image) -> Image.Image:
    """Convert a frame of any mode to RGB, or to RGBA if any part is transparent."""
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
            done = None  # a broken profile is ignored
        if done is not None:
            return done
    return image.convert("RGB")


def _rgb_profile(profile: bytes | None) -> bytes | None:
    """Return the colour profile if its colour space is RGB (bytes 16 to 19 of the header, ICC.1)."""
    return profile if profile and profile[16:20] == b"RGB " else None
