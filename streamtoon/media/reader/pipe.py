"""Reading a pipe with FFmpeg, front to back, and rejecting files for which that cannot work."""

from __future__ import annotations

import struct
from typing import Any, Protocol

from streamtoon.errors import InputError

HEAD_BYTES = 64
"""Number of first bytes to keep, for error messages."""
_LEADING_BOXES = frozenset(
    (b"ftyp", b"styp", b"free", b"skip", b"wide", b"pnot", b"uuid", b"pdin", b"sidx", b"meta")
)
"""MP4 and QuickTime boxes that may come before the index or the data (ISO/IEC 14496-12, 6.2.3)."""
_DATA = b"mdat"


class Readable(Protocol):
    """An object with a `read` method."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; none at the end."""


class ForwardPipe:
    """A file object without `seek` that checks the data it passes on.

    Raises InputError as soon as an MP4 turns out to have its index after its data, as cameras and most
    programs write it: nothing could be decoded before the end of the pipe.
    """

    def __init__(self, file: Readable, name: str) -> None:
        self._file, self.name = file, name
        self.head = b""
        """The first bytes."""
        self._rest = b""
        self._skip = 0
        self._undecided = True

    def read(self, size: int = -1) -> bytes:
        """Read like the wrapped file."""
        data = self._file.read(size)
        self.head += data[: HEAD_BYTES - len(self.head)]
        if self._undecided and data:
            self._look(data)
        return data

    def _look(self, data: bytes) -> None:
        """Follow the boxes up to the index or the data."""
        self._rest += data
        while self._undecided:
            gone = min(self._skip, len(self._rest))
            self._rest, self._skip = self._rest[gone:], self._skip - gone
            if self._skip or len(self._rest) < 16:
                return
            length, kind = struct.unpack(">I4s", self._rest[:8])
            if kind == _DATA:
                raise InputError(
                    f"{self.name} is an MP4 with its index at the end, which cannot be read from a pipe. "
                    "Give the file name, or use < FILE instead of the pipe."
                )
            if kind not in _LEADING_BOXES:  # the index, or not an MP4
                self._undecided, self._rest = False, b""
                return
            self._skip = struct.unpack(">Q", self._rest[8:16])[0] if length == 1 else length
            if self._skip < 8:  # a box up to the end of the file, or invalid
                self._undecided, self._rest = False, b""


def is_seekable(file: Any) -> bool:
    """Return whether `file` can seek and is at its beginning."""
    try:
        return bool(file.seekable()) and file.tell() == 0
    except (AttributeError, OSError, ValueError):
        return False
