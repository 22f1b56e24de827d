"""Errors that a user can cause in styles and engines.

`streamtoon.errors` has the whole hierarchy.
"""

from __future__ import annotations


class StreamtoonError(Exception):
    """Base of all errors that a user can cause.

    The message is one sentence that says what is wrong and, if possible, what to do.
    """


class StyleError(StreamtoonError):
    """A style is unknown, incomplete or damaged."""


class EngineError(StreamtoonError):
    """No engine supports the request: a package, device or precision is missing."""


class OutOfMemoryError(EngineError):
    """An engine needs more memory than is available."""
