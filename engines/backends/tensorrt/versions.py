"""Which TensorRT serves."""

from __future__ import annotations

import re

from engines.errors import EngineError

LEAST, BEYOND = (10, 12), (12, 0)
"""Versions of TensorRT: from the first one, and below the second."""
INSTALL = "pip install 'streamtoon[tensorrt]'"


def demand_version(found: str) -> None:
    """Raises EngineError, in one sentence, for a version that is too old or not known yet."""
    numbers = major_minor(found)
    if not LEAST <= numbers < BEYOND:
        old = "too old" if numbers < LEAST else "newer than what streamtoon knows"
        raise EngineError(f"TensorRT {found} is {old}: 10.12 to 11 are needed; {INSTALL}")


def major_minor(found: str) -> tuple[int, int]:
    """The first two numbers of a version."""
    match = re.match(r"(\d+)\.(\d+)", found)
    return (int(match[1]), int(match[2])) if match else (0, 0)
