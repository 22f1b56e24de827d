"""Supported versions of TensorRT."""

from __future__ import annotations

import re

from engines.common.extras import install_line
from engines.errors import EngineError

MIN_VERSION, VERSION_LIMIT = (10, 12), (12, 0)
"""Supported versions: from the first, up to but not including the second."""


def check_version(found: str) -> None:
    """Raise EngineError if that version is too old, or too new to be known."""
    numbers = major_minor(found)
    if not MIN_VERSION <= numbers < VERSION_LIMIT:
        old = "too old" if numbers < MIN_VERSION else "newer than streamtoon supports"
        raise EngineError(f"TensorRT {found} is {old}; use 10.12 to 11; run: {install_line('tensorrt')}")


def major_minor(found: str) -> tuple[int, int]:
    """Return the first two numbers of a version; (0, 0) if there are none."""
    match = re.match(r"(\d+)\.(\d+)", found)
    return (int(match[1]), int(match[2])) if match else (0, 0)
