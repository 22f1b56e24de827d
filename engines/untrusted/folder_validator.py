"""Checks of an untrusted style folder."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from engines.errors import StyleError

MAX_ENTRIES = 100
"""Entries of a style folder; a complete style has six files."""


def is_folder(folder: Path) -> bool:
    """Return whether the folder exists. A name that the system rejects, too long or with a NUL, does not."""
    try:
        return folder.is_dir()
    except (OSError, ValueError):
        return False


def check_folder(folder: Path) -> None:
    """Check that nothing in the folder leads outside or can block a reader.

    Raises StyleError for links, pipes and devices, and for a folder with too many entries.
    """
    try:
        with os.scandir(folder) as entries:
            for at, entry in enumerate(entries):
                mode = entry.stat(follow_symlinks=False).st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    file = folder / entry.name
                    raise StyleError(f"{file} is a link or a special file; replace it by a regular file")
                if at >= MAX_ENTRIES:
                    raise StyleError(f"{folder} is not a style: it contains more than {MAX_ENTRIES} files")
    except OSError as error:
        raise StyleError(f"{folder} cannot be read: {error.strerror or error}") from error


def file_sha256(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal. Raises StyleError if it is missing or cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise StyleError(f"style {file.parent} is incomplete: it has no {file.name}") from None
    except OSError as error:
        raise StyleError(f"{file} cannot be read: {error.strerror or error}") from error
