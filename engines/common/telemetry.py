"""Switches off the telemetry of the libraries that we load."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

PACKAGE = "openvino_telemetry"
ORT_SWITCH = "ORT_DISABLE_TELEMETRY"


def silence_onnxruntime() -> None:
    """Keep ONNX Runtime from reporting anything if it is imported later, here or in child processes.

    By default version 1.32 keeps an identifier of the device in the cache folder and sends events to
    Microsoft from a thread of its own. Its `disable_telemetry_events()` comes too late for the first of them.
    Privacy.md in its wheel names the environment variable, which holds for the life of the process. A value
    that the user has set stays. A library that the caller has imported before stays as it is.
    """
    os.environ.setdefault(ORT_SWITCH, "1")


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Hide the telemetry package from imports of openvino and nncf inside this block.

    By default `import openvino` reports itself to Google Analytics from a thread of its own. Without the
    package both libraries fall back to a stub that does nothing. Where the caller has already imported the
    package, it stays.
    """
    if PACKAGE in sys.modules:
        yield
        return
    # None makes an import statement raise ModuleNotFoundError; the type stubs do not allow it.
    sys.modules[PACKAGE] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[PACKAGE]
