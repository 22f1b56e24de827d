"""A folder that all processes of one test run share, in which each thing is made once."""

from __future__ import annotations

import atexit
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from filelock import FileLock

VARIABLE = "STREAMTOON_TEST_RUN"


@cache
def run_folder() -> Path:
    """Return the folder of this run. The process that asks first makes it, and removes it at its end.

    Processes that it starts, such as the workers of pytest-xdist, find the name in their environment.
    """
    if VARIABLE not in os.environ:
        holder = tempfile.TemporaryDirectory(prefix="streamtoon-tests-")
        atexit.register(holder.cleanup)
        os.environ[VARIABLE] = str(Path(holder.name).resolve())
    return Path(os.environ[VARIABLE])


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder `name`, which `make` fills for the first process that asks; the others wait."""
    folder = run_folder() / name
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name(f"{name}.unfinished")
            make(unfinished)
            unfinished.rename(folder)
    return folder
