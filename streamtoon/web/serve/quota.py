"""Disk space of uploads: space reserved for one file is not given to another."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from streamtoon.errors import OutputError
from streamtoon.web.serve.settings import MEGABYTE

RESERVED_BYTES = 200 * MEGABYTE
"""Space that stays free."""
FILES = 2
"""Files that drawing writes at a time: the unfinished work and the result."""


class DiskQuota:
    """The free space of the disk with `folder`, where each upload has a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._promised: dict[Path, int] = {}

    def reserve(self, folder: Path, size: int, most: int) -> int:
        """Reserve space for an upload of `size` bytes and its result, until `release`.

        Returns the limit in bytes for each written file: at least `size`, at most `most`. Raises OutputError
        if the disk is too full.
        """
        room = min(most, (self._free() - size) // FILES)
        if room < size:
            raise OutputError("The server does not have enough disk space for this file. Try again later.")
        self._promised[folder] = size + FILES * room
        return room

    def release(self, folder: Path) -> None:
        """Release the space of an upload that is finished."""
        self._promised.pop(folder, None)

    def _free(self) -> int:
        """Return the bytes that are neither used nor reserved."""
        left = sum(max(0, most - _written(folder)) for folder, most in self._promised.items())
        return shutil.disk_usage(self._folder).free - RESERVED_BYTES - left


def _written(folder: Path) -> int:
    size = 0
    with suppress(FileNotFoundError):  # it may be removed at any time
        for file in folder.iterdir():
            size += file.stat().st_size
    return size
