"""streamtoon turns video into cartoon in real time on ordinary computers.

    from streamtoon import Cartoonizer

    with Cartoonizer() as cartoonize:
        cartoonize.video("in.mp4", "out.mp4")       # a file: frames, times and sound are kept
        cartoonize.image("photo.jpg", "drawn.png")  # a photo or an animated GIF
        drawn = cartoonize(rgb)                     # an array, uint8 of height x width x 3

Everything that a user can cause raises a `StreamtoonError`: see `streamtoon.errors` for the tree.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from streamtoon.errors import EngineError, InputError, OutputError, StreamtoonError, StyleError

if TYPE_CHECKING:
    from engines.picture import Colour, Picture
    from streamtoon.cartoonizer import Cartoonizer
    from streamtoon.pipeline import Progress, StageTime
    from streamtoon.report import EngineReport, ImageFacts, ImageReport, MediaReport, Report

__version__: str

__all__ = [
    "Cartoonizer",
    "Colour",
    "EngineError",
    "EngineReport",
    "ImageFacts",
    "ImageReport",
    "InputError",
    "MediaReport",
    "OutputError",
    "Picture",
    "Progress",
    "Report",
    "StageTime",
    "StreamtoonError",
    "StyleError",
    "__version__",
]

# NumPy and all above it load with the first use of a name: the command answers --help without them.
_HOMES = {
    "Cartoonizer": "streamtoon.cartoonizer",
    "Colour": "engines.picture",
    "EngineReport": "streamtoon.report",
    "ImageFacts": "streamtoon.report",
    "ImageReport": "streamtoon.report",
    "MediaReport": "streamtoon.report",
    "Picture": "engines.picture",
    "Progress": "streamtoon.pipeline",
    "Report": "streamtoon.report",
    "StageTime": "streamtoon.pipeline",
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
