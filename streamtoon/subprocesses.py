"""Starting Python subprocesses with this installation's code, and nothing from the current folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOME = Path(__file__).absolute().parent.parent
"""The folder that contains our packages."""


def command(module: str) -> list[str]:
    """Return the command line that runs `module` as a program. Append its arguments."""
    return [sys.executable, "-P", "-m", module]


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment with `variables`, for a subprocess.

    Paths in PYTHONPATH become absolute: relative ones would depend on the folder in which the child runs.
    """
    paths = [Path(path).absolute() for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    roots = os.pathsep.join(str(path) for path in (HOME, *paths))
    return {**os.environ, "PYTHONPATH": roots, **variables}
