"""Python processes of our own: the same code as here, nothing from the folder that one happens to be in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HOME = Path(__file__).absolute().parent.parent
"""Where our packages lie."""


def command(module: str) -> list[str]:
    """What runs `module` as a program; its arguments are added."""
    return [sys.executable, "-P", "-m", module]


def environment(**variables: str) -> dict[str, str]:
    """Of such a process: this one's with `variables`.

    In PYTHONPATH every path is whole: an empty or a relative one would be looked for where the child runs.
    """
    paths = [Path(path).absolute() for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    roots = os.pathsep.join(str(path) for path in (HOME, *paths))
    return {**os.environ, "PYTHONPATH": roots, **variables}
