"""WebP files made longer without a change to the picture, so that a length tells nothing."""

from __future__ import annotations

import struct

OVERHEAD_BYTES = 26
"""Bytes that padding adds at least: the extended header and the empty chunk's own."""


def pad_webp(data: bytes, size: int) -> bytes:
    """A still WebP file without alpha, brought to exactly `size` bytes (rounded up to even).

    RFC 9649: the extended layout (`VP8X`) takes chunks of unknown kinds behind the picture's own, and readers
    pass them over. Raises ValueError when `data` is no simple WebP file or `size` leaves no room.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or data[12:16] not in (b"VP8 ", b"VP8L"):
        raise ValueError("no simple WebP file")
    chunk = data[12:]
    room = size + size % 2 - len(data) - OVERHEAD_BYTES
    if room < 0:
        raise ValueError(f"{size} bytes leave no room for {len(data)} and {OVERHEAD_BYTES} more")
    width, height = _size(chunk)
    header = struct.pack("<4sIB3x", b"VP8X", 10, 0)
    header += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + header + chunk + struct.pack("<4sI", b"PAD ", room) + bytes(room)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _size(chunk: bytes) -> tuple[int, int]:
    """Width and height out of the picture's own header."""
    if chunk[:4] == b"VP8L":
        bits = int.from_bytes(chunk[9:13], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", chunk, 14)
    return width & 0x3FFF, height & 0x3FFF
