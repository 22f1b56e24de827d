"""Picture files: found, read, and written whole or not at all."""

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
SHEETS, ASIDE = ".sheets", ".set-aside"
"""How the folders end that the tools lay beside a folder of pictures, for what nobody is to train on."""

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
    """The pictures in `folder` and below, sorted by name. Raises StreamtoonError when there are none.

    Contact sheets of a folder in `folder`, and what was set aside out of it, are not among them.
    """
    try:
        paths = sorted(
            path
            for path in folder.rglob("*")
            if path.suffix.lower() in SUFFIXES and path.is_file() and not _is_beside(path.relative_to(folder))
        )
    except OSError as error:
        raise StreamtoonError(f"{folder} cannot be read: {error.strerror or error}") from error
    if not paths:
        raise StreamtoonError(
            f"{folder}: no pictures there; name a folder with {', '.join(sorted(SUFFIXES))}"
        )
    return paths


def _is_beside(path: Path) -> bool:
    return any(part.endswith((SHEETS, ASIDE)) for part in path.parts[:-1])


def make_folder(folder: Path) -> None:
    """Make it and what leads to it, where they are missing. Raises StreamtoonError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StreamtoonError(f"folder {folder} cannot be made: {error.strerror or error}") from error


def demand_apart(folder: Path, out: Path) -> None:
    """Raises StreamtoonError when one of the two is, or lies in, the other."""
    here, there = folder.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise StreamtoonError(f"{out} and {folder} lie in one another; name a folder elsewhere")


def read_picture(path: Path) -> Image:
    """H x W x 3 RGB, 8 bits; what is transparent lies on white, as on paper.

    Raises StreamtoonError when it cannot be decoded.
    """
    image = None
    try:
        data = np.fromfile(path, dtype=np.uint8)
        if data.size:
            image = _on_white(data) if _has_alpha(data) else cv2.imdecode(data, cv2.IMREAD_COLOR)
    except (OSError, cv2.error):  # OpenCV throws at sizes that it takes for an attack
        image = None
    if image is None:
        raise StreamtoonError(f"{path}: not a picture that can be opened; take it out of the folder")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def _has_alpha(data: NDArray[np.uint8]) -> bool:
    """Whether a PNG's or a WebP's header speaks of transparency; other formats' is not read."""
    head = data[:4096].tobytes()
    if head.startswith(b"\x89PNG"):
        return head[25:26] in (b"\4", b"\6") or b"tRNS" in head
    extended, lossless = head[12:16] == b"VP8X", head[12:16] == b"VP8L"
    return head.startswith(b"RIFF") and (
        (extended and bool(head[20] & 16)) or (lossless and bool(head[24] & 16))
    )


def _on_white(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """BGR of 8 bits over white."""
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        return None if image is None else np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    value = image.astype(np.float32) / (255 if image.dtype == np.uint8 else 65535)
    colour, alpha = value[..., :3], value[..., 3:]
    return np.asarray((colour * alpha + 1 - alpha) * 255 + 0.5, np.uint8)


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
