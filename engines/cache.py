"""The user's own folders: a private one for what can be made again, and one for the user's styles."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def _base() -> Path:
    """The platform's own place for caches (XDG base directories, Apple's and Microsoft's guidelines)."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The specification says that relative paths are invalid and to be ignored.
    return Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache"


def data_folder(name: str) -> Path:
    """The folder `streamtoon/NAME` among the user's data; it may not be there yet."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        base = Path(local) if local else _home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = _home() / "Library" / "Application Support"
    else:
        xdg = os.environ.get("XDG_DATA_HOME", "")
        base = Path(xdg) if Path(xdg).is_absolute() else _home() / ".local" / "share"
    return base / "streamtoon" / name


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # none can be determined: then what is kept there is not there
        return Path(os.devnull)


def cache_folder(name: str) -> Path | None:
    """The folder `streamtoon/NAME` in the user's cache, made where missing, readable by its owner alone.

    None where it cannot be made, written or trusted (another user's, or writable by others): a compiled
    model is code, so nothing is loaded from a place that others can write. Callers then do without.
    """
    try:
        folder = _base() / "streamtoon" / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":
            facts = folder.stat()
            if facts.st_uid != os.getuid() or facts.st_mode & 0o022:
                return None
    except (OSError, RuntimeError):  # RuntimeError: no home directory can be determined
        return None
    return folder if os.access(folder, os.W_OK) else None
