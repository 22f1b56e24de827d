"""The command of a line that names none: `video` for videos, `image` for photos."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

MAX_FILES = 10_000
"""How many files of a folder are checked for videos."""
_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}$", re.IGNORECASE)


def implied_command(args: Sequence[str], options: Collection[str]) -> Literal["video", "image"] | None:
    """Return the command that `args` imply; None if they name no file.

    `options` are those of `video`, which may come first on the line.
    """
    if not args:
        return None
    first = args[0]
    if first != "-" and not (_is_file(first) or first.partition("=")[0] in options):
        return None
    named = [arg for arg in args if arg == "-" or (not arg.startswith("-") and _is_file(arg))]
    return _kind(named) if named else None


def _is_file(arg: str) -> bool:
    """Return whether `arg` is a file or folder, or looks like the name of one."""
    if arg.startswith("-"):
        return False
    from streamtoon.convert.batch import VIDEO_SUFFIXES
    from streamtoon.images.formats import READ_SUFFIXES

    suffix = _SUFFIX.search(arg)
    is_media = suffix is not None and suffix[0].lower() in VIDEO_SUFFIXES | READ_SUFFIXES
    return is_media or os.path.lexists(arg)


def _kind(named: Sequence[str]) -> Literal["video", "image"]:
    from streamtoon.convert.batch import VIDEO_SUFFIXES
    from streamtoon.images.formats import READ_SUFFIXES

    suffixes = [Path(name).suffix.lower() for name in named]
    if any(suffix in VIDEO_SUFFIXES for suffix in suffixes):
        return "video"
    if Path(named[0]).is_dir():
        within = {path.suffix.lower() for path in islice(Path(named[0]).rglob("*"), MAX_FILES)}
        return "image" if within & READ_SUFFIXES and not within & VIDEO_SUFFIXES else "video"
    return "image" if suffixes[0] in READ_SUFFIXES else "video"
