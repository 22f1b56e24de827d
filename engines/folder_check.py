"""What may lie in a style's folder that comes from a stranger."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from engines.errors import StyleError

MOST_ENTRIES = 100
"""Of a style's folder; six files make a whole one."""


def is_folder(folder: Path) -> bool:
    """Whether there is one; what no system takes as a name, too long or with a NUL, is none."""
    try:
        return folder.is_dir()
    except (OSError, ValueError):
        return False


def check_folder(folder: Path) -> None:
    """Nothing leads out of the folder, and nothing in it can keep a reader waiting.

    Raises StyleError for links, pipes and devices, and for a folder with more in it than a style has.
    """
    try:
        with os.scandir(folder) as entries:
            for at, entry in enumerate(entries):
                mode = entry.stat(follow_symlinks=False).st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    file = folder / entry.name
                    raise StyleError(f"{file} is not a file of its own; put the file itself there")
                if at >= MOST_ENTRIES:
                    raise StyleError(f"{folder} is not a style: it holds more than {MOST_ENTRIES} files")
    except OSError as error:
        raise StyleError(f"{folder} cannot be read: {error.strerror or error}") from error
