"""Separating the text and colour profile of a PNG from its image. Pillow rejects files with long text."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SIGNATURE = b"\x89PNG\r\n\x1a\n"
REPORTED_TEXT_BYTES = 4096
"""Minimum bytes of dropped text that cause a warning."""
MAX_PROFILE_BYTES = 1 << 24
"""Maximum bytes of an unpacked colour profile. The largest in use have about four million."""
_XMP = b"XML:com.adobe.xmp"
_RAW = b"Raw profile type "
"""Keyword prefix under which ImageMagick stored EXIF before PNG had a chunk for it."""
_MAX_TEXT_BYTES = 1 << 20
"""Maximum bytes of one text."""
_TEXT = (b"tEXt", b"zTXt", b"iTXt")


@dataclass(frozen=True, slots=True)
class PlainPng:
    """A PNG without its text, which Pillow can read."""

    file: BinaryIO
    texts: tuple[str, ...]
    """Keywords of the dropped texts."""
    size: int
    """Bytes of the dropped texts, unpacked; at most _MAX_TEXT_BYTES each."""
    profile: bytes | None
    """The colour profile, unpacked."""
    is_odd: bool
    """Whether the file has a colour profile that cannot be unpacked."""


def plain_png(path: Path) -> PlainPng | None:
    """Return the PNG in `path` without its text and profile; None for another format. Raises OSError."""
    with path.open("rb") as file:
        if file.read(len(SIGNATURE)) != SIGNATURE:
            return None
        data = file.read()
    kept, texts, size = [SIGNATURE], [], 0
    profile, is_odd = None, False
    for kind, start, end in _chunks(data):
        body = memoryview(data)[start + 8 : end - 4]
        if kind in _TEXT and not _is_metadata(body):
            texts.append(bytes(body[:80]).split(b"\0")[0].decode("latin-1"))
            size += _text_size(kind, bytes(body))
        elif kind == b"iCCP":
            profile = _unpacked(bytes(body))
            is_odd = profile is None
        else:
            kept.append(data[start:end])
    return PlainPng(io.BytesIO(b"".join(kept)), tuple(dict.fromkeys(texts)), size, profile, is_odd)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, start and end of each chunk. Bytes after the last complete one come with an empty type."""
    at = 0
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + size > len(data):
            break
        yield kind, at, at + 12 + size
        at += 12 + size
    if at < len(data):
        yield b"", at, len(data)


def _is_metadata(body: memoryview) -> bool:
    return len(body) <= _MAX_TEXT_BYTES and bytes(body[:32]).startswith((_XMP, _RAW))


def _text_size(kind: bytes, body: bytes) -> int:
    keyword, _, rest = body.partition(b"\0")
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] != b"\1"):
        return len(body)
    packed = rest[1:]
    if kind == b"iTXt":  # two flags, then the language and the keyword in that language
        packed = rest[2:].split(b"\0", 2)[-1]
    try:
        return len(keyword) + len(zlib.decompressobj().decompress(packed, _MAX_TEXT_BYTES))
    except zlib.error:
        return len(body)


def _unpacked(body: bytes) -> bytes | None:
    """Unpack the profile of an iCCP chunk (PNG 3rd edition, 11.3.2.3): name, method 0, zlib data."""
    _, end, rest = body.partition(b"\0")
    if not end or rest[:1] != b"\0":
        return None
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(rest[1:], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if unpacker.eof else None
