"""Image files: finding, reading and writing them. A file is written completely or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Image
from engines.common.atomic_write import replace_file
from engines.errors import StreamtoonError

IMAGE_SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
SHEETS_SUFFIX, SET_ASIDE_SUFFIX = ".sheets", ".set-aside"
"""Suffixes of the folders that the tools create next to an image folder. Their images are not for training.
"""

_LOSSLESS_WEBP = 101
"""OpenCV writes lossless WebP at any quality above 100."""
_OPTIONS: dict[str, list[int]] = {
    # Full chroma: edges of a drawing are in colour as much as in luma.
    ".jpg": [
        cv2.IMWRITE_JPEG_QUALITY,
        100,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ],
    ".png": [cv2.IMWRITE_PNG_COMPRESSION, 3],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, _LOSSLESS_WEBP],
}
_OPTIONS[".jpeg"] = _OPTIONS[".jpg"]


def list_images(folder: Path) -> list[Path]:
    """Return the images in `folder` and its subfolders, sorted by name. Raises StreamtoonError if there are
    none.

    Contact sheets, images that were set aside, and hidden files are skipped. macOS puts a hidden
    "._photo.jpg" next to photo.jpg on foreign disks.
    """
    try:
        paths = sorted(
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in IMAGE_SUFFIXES
            and path.is_file()
            and not _is_aside(path.relative_to(folder))
        )
    except OSError as error:
        raise StreamtoonError(f"{folder} cannot be read: {error.strerror or error}") from error
    if not paths:
        raise StreamtoonError(
            f"{folder} contains no images; name a folder with {', '.join(sorted(IMAGE_SUFFIXES))}"
        )
    return paths


def _is_aside(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts) or any(
        part.endswith((SHEETS_SUFFIX, SET_ASIDE_SUFFIX)) for part in path.parts[:-1]
    )


def make_folder(folder: Path) -> None:
    """Create the folder and its parents where they are missing. Raises StreamtoonError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StreamtoonError(f"cannot create folder {folder}: {error.strerror or error}") from error


def require_separate(folder: Path, out: Path) -> None:
    """Check that neither folder is, or is inside, the other. Raises StreamtoonError."""
    here, there = folder.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise StreamtoonError(f"{out} and {folder} are inside one another; choose another folder")


def read_image(path: Path) -> Image:
    """Read an image as H x W x 3 RGB, 8 bits. Transparent parts become white.

    Raises StreamtoonError if it cannot be decoded.
    """
    image = None
    try:
        data = np.fromfile(path, dtype=np.uint8)
        if data.size:
            image = _on_white(data) if _has_alpha(data) else cv2.imdecode(data, cv2.IMREAD_COLOR)
    except (OSError, cv2.error):  # OpenCV raises at sizes that it considers an attack
        image = None
    if image is None:
        raise StreamtoonError(f"{path}: cannot decode this image; remove it from the folder")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _has_alpha(data: NDArray[np.uint8]) -> bool:
    """Return whether the header of a PNG or WebP declares transparency. Other formats are not inspected."""
    head = data[:4096].tobytes()
    if head.startswith(b"\x89PNG"):
        return head[25:26] in (b"\4", b"\6") or b"tRNS" in head
    extended, lossless = head[12:16] == b"VP8X", head[12:16] == b"VP8L"
    return head.startswith(b"RIFF") and (
        (extended and bool(head[20] & 16)) or (lossless and bool(head[24] & 16))
    )


def _on_white(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Decode an image with alpha onto white, as BGR with 8 bits."""
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        return None if image is None else np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    value = image.astype(np.float32) / (255 if image.dtype == np.uint8 else 65535)
    color, alpha = value[..., :3], value[..., 3:]
    return np.asarray((color * alpha + 1 - alpha) * 255 + 0.5, np.uint8)


def write_image(path: Path, image: Image, quality: int | None = None) -> None:
    """Write RGB pixels in the format of the suffix, without loss where the format can; JPEG at 100 in 4:4:4.

    `quality`, 1..100, makes a smaller WebP or JPEG. An existing file stays until the new one is complete.
    Raises StreamtoonError if the file cannot be written.
    """
    suffix = path.suffix.lower()
    options = list(_OPTIONS.get(suffix, []))
    if quality is not None and suffix != ".png":
        options[1] = quality
    done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise StreamtoonError(f"{path} cannot be written as {suffix}: the image is too large for the format")
    write_whole(path, data.tobytes())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file under a temporary name and rename it when it is complete. Raises StreamtoonError."""
    try:
        replace_file(path, lambda part: part.write_bytes(data))
    except OSError as error:
        raise StreamtoonError(f"{path} cannot be written: {error.strerror or error}") from error
