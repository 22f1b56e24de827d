"""streamtoon turns video into cartoon in real time on ordinary computers.

    from streamtoon import Cartoonizer

    with Cartoonizer() as cartoonize:
        cartoonize.video("in.mp4", "out.mp4")       # a file: frames, times and sound are kept
        cartoonize.image("photo.jpg", "drawn.png")  # a photo or an animated GIF
        drawn = cartoonize(rgb)                     # an array, uint8 of height x width x 3

Errors that a user can cause are `StreamtoonError`s: see `streamtoon.errors` for the hierarchy.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

# `python -m streamtoon` puts the current folder first in sys.path. A folder called engines, eval or training
# in it would then hide our package of that name. So the current folder is removed, as with `python -P` and
# PYTHONSAFEPATH, before the first import of these packages. It is not removed if streamtoon itself was found
# there (a checkout), or if another program was started by -m and imports streamtoon (then sys.argv[0] is not
# "-m").
_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 (pathlib is slow to load)
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and sys.path and sys.path[0] != _HOME:
    del sys.path[0]

from streamtoon.errors import (  # noqa: E402 (see above)
    ConnectionLostError,
    CorruptInputError,
    DiskFullError,
    EngineError,
    InputError,
    OutOfMemoryError,
    OutputError,
    StreamtoonError,
    StyleError,
    UnfinishedError,
    UnsupportedFormatError,
)

if TYPE_CHECKING:
    from engines.frame import ColorInfo, Frame
    from streamtoon.api import Cartoonizer
    from streamtoon.pipeline.run import Progress, StageTime
    from streamtoon.reports import EngineReport, ImageFacts, ImageReport, MediaReport, Report

__version__: str

__all__ = [
    "Cartoonizer",
    "ColorInfo",
    "ConnectionLostError",
    "CorruptInputError",
    "DiskFullError",
    "EngineError",
    "EngineReport",
    "Frame",
    "ImageFacts",
    "ImageReport",
    "InputError",
    "MediaReport",
    "OutOfMemoryError",
    "OutputError",
    "Progress",
    "Report",
    "StageTime",
    "StreamtoonError",
    "StyleError",
    "UnfinishedError",
    "UnsupportedFormatError",
    "__version__",
]

# NumPy and the modules that need it are loaded on first use of a name: --help works without them.
_HOMES = {
    "Cartoonizer": "streamtoon.api",
    "ColorInfo": "engines.frame",
    "EngineReport": "streamtoon.reports",
    "ImageFacts": "streamtoon.reports",
    "ImageReport": "streamtoon.reports",
    "MediaReport": "streamtoon.reports",
    "Frame": "engines.frame",
    "Progress": "streamtoon.pipeline.run",
    "Report": "streamtoon.reports",
    "StageTime": "streamtoon.pipeline.run",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value: Any = version("streamtoon")
        except PackageNotFoundError:  # run from a folder that was never installed
            value = "unknown"
    elif name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
