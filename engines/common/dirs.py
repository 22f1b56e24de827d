"""The user's own folders: a private cache folder and a folder for data such as the user's styles."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

APP = "streamtoon"


def data_folder(name: str) -> Path:
    """Return the folder `streamtoon/NAME` in the user's data directory. It may not exist yet."""
    try:
        return user_data_path(APP, appauthor=False) / name
    except RuntimeError:  # the home directory is unknown, so the user has no data
        return Path(os.devnull) / APP / name


def cache_folder(name: str) -> Path | None:
    """Return the folder `streamtoon/NAME` in the user's cache directory, created with mode 0700 if missing.

    Returns None where the folder cannot be created, written or trusted, because it belongs to another user
    or because others can write to it. A compiled model is code, so nothing is loaded from such a folder.
    Callers then work without a cache.
    """
    try:
        folder = user_cache_path(APP, appauthor=False, opinion=False) / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":
            facts = folder.stat()
            if facts.st_uid != os.getuid() or facts.st_mode & 0o022:
                return None
    except (OSError, RuntimeError):  # RuntimeError: the home directory is unknown
        return None
    return folder if os.access(folder, os.W_OK) else None
