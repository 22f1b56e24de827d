"""Picture files of a data set: found, read, and written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.errors import StreamtoonError
from engines.files import replace_file

Image = NDArray[np.uint8]
"""H x W x 3, RGB, 0..255."""

SUFFIXES = {".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}

_LOSSLESS_WEBP = 101
"""OpenCV's way to say so: any quality above 100."""
_OPTIONS: dict[str, list[int]] = {
    # Full chroma: a drawing's edges lie in colour as much as in light.
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


def list_pictures(folder: Path) -> list[Path]:
    """The pictures in `folder` and below, sorted by name. Raises StreamtoonError when there are none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise StreamtoonError(
            f"{folder}: no pictures there; name a folder with {', '.join(sorted(SUFFIXES))}"
        )
    return paths


def read_picture(path: Path) -> Image:
    """H x W x 3 RGB, 8 bits. Raises StreamtoonError when it cannot be decoded."""
    try:
        data = np.fromfile(path, dtype=np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):  # OpenCV throws at sizes that it takes for an attack
        image = None
    if image is None:
        raise StreamtoonError(f"{path}: not a picture that can be opened; take it out of the folder")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def write_picture(path: Path, image: Image, quality: int | None = None) -> None:
    """Write RGB pixels in the format of the suffix, losslessly where it can: JPEG at 100 in 4:4:4.

    `quality`, 1..100, is for those who want a smaller WebP or JPEG. Raises StreamtoonError when it cannot be
    written; what was there before stays until the new file is whole.
    """
    suffix = path.suffix.lower()
    options = list(_OPTIONS.get(suffix, []))
    if quality is not None and suffix != ".png":
        options[1] = quality
    done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise StreamtoonError(f"{path} cannot be written as {suffix}: its size is beyond the format")
    write_whole(path, data.tobytes())


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears under its name when it is whole. Raises StreamtoonError."""
    try:
        replace_file(path, lambda part: part.write_bytes(data))
    except OSError as error:
        raise StreamtoonError(f"{path} cannot be written: {error.strerror or error}") from error
