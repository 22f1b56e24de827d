"""The disk's room, shared out: what is promised to one file is not promised to another."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from streamtoon.errors import OutputError
from streamtoon.serve.settings import MEGABYTE

SPARE = 200 * MEGABYTE
"""Bytes that the disk keeps."""
FILES = 2
"""Files that drawing writes at a time: the work, and what is made of it."""


class Disk:
    """Where `folder` lies; each upload has a folder of its own in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._promised: dict[Path, int] = {}

    def reserve(self, folder: Path, size: int, most: int) -> int:
        """Room for an upload of `size` bytes and what is drawn from it, until `release`.

        Bytes that each file which is written may have: at least `size`, at most `most`. Raises OutputError.
        """
        room = min(most, (self._free() - size) // FILES)
        if room < size:
            raise OutputError("The server's disk is too full for this file; try again later.")
        self._promised[folder] = size + FILES * room
        return room

    def release(self, folder: Path) -> None:
        """Nothing more will be written there."""
        self._promised.pop(folder, None)

    def _free(self) -> int:
        """Bytes that nobody has, and nobody has been promised."""
        left = sum(max(0, most - _written(folder)) for folder, most in self._promised.items())
        return shutil.disk_usage(self._folder).free - SPARE - left


def _written(folder: Path) -> int:
    size = 0
    with suppress(FileNotFoundError):  # it may be removed at any time
        for file in folder.iterdir():
            size += file.stat().st_size
    return size
