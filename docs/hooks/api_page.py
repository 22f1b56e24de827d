"""The reference of the Python API: every public class of `streamtoon`, documented by its docstrings."""

from __future__ import annotations

import inspect


def api_reference() -> str:
    """Return a mkdocstrings block for each public class, the Cartoonizer first, then the errors."""
    import streamtoon

    names = [name for name in streamtoon.__all__ if inspect.isclass(getattr(streamtoon, name))]
    classes = [name for name in names if not issubclass(getattr(streamtoon, name), Exception)]
    classes.sort(key=lambda name: name != "Cartoonizer")
    return "\n\n".join(f"::: streamtoon.{name}" for name in [*classes, "errors"])
