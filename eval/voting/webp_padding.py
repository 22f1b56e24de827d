"""Pad WebP files without changing the image, so that the length of a file reveals nothing."""

from __future__ import annotations

import struct

OVERHEAD_BYTES = 26
"""Bytes that padding adds at least: the extended header and the header of the empty chunk."""


def pad_webp(data: bytes, size: int) -> bytes:
    """Return a WebP still without alpha, padded to exactly `size` bytes (rounded up to an even number).

    RFC 9649: the extended layout (`VP8X`) may have chunks of unknown kinds after the image data, which
    readers skip. Raises ValueError if `data` is not a simple WebP file or `size` is too small.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or data[12:16] not in (b"VP8 ", b"VP8L"):
        raise ValueError("not a simple WebP file")
    chunk = data[12:]
    room = size + size % 2 - len(data) - OVERHEAD_BYTES
    if room < 0:
        raise ValueError(f"{size} bytes are not enough for {len(data)} bytes and {OVERHEAD_BYTES} more")
    width, height = _size(chunk)
    header = struct.pack("<4sIB3x", b"VP8X", 10, 0)
    header += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + header + chunk + struct.pack("<4sI", b"PAD ", room) + bytes(room)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _size(chunk: bytes) -> tuple[int, int]:
    """Return width and height from the image's header."""
    if chunk[:4] == b"VP8L":
        bits = int.from_bytes(chunk[9:13], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", chunk, 14)
    return width & 0x3FFF, height & 0x3FFF
