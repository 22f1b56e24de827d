"""Errors that a user can cause below the tool itself: styles and engines.

The whole tree, with the tool's own branches, is drawn in `streamtoon.errors`.
"""

from __future__ import annotations


class StreamtoonError(Exception):
    """Base of every error a user can cause.

    Its text is one clear sentence that says what is wrong and, where there is one, the way out.
    """


class StyleError(StreamtoonError):
    """A style is unknown, incomplete or damaged."""


class EngineError(StreamtoonError):
    """No engine can do what was asked: missing package, device or precision."""


class OutOfMemoryError(EngineError):
    """An engine needs more memory than there is."""
