"""Nothing about our users is sent anywhere, by the libraries we load neither."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

PACKAGE = "openvino_telemetry"


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Imports of openvino and nncf in this block do not find the package that reports them.

    Left alone, `import openvino` reports itself to Google Analytics from a thread of its own; without the
    package both libraries fall back to a stub that does nothing. A caller who has loaded the package
    already keeps it.
    """
    if PACKAGE in sys.modules:
        yield
        return
    # None makes an import statement raise ModuleNotFoundError; the types do not know of that.
    sys.modules[PACKAGE] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[PACKAGE]
