"""Every error a user can cause, in one tree.

    Exception
     └── StreamtoonError          base: one clear sentence, with the way out where there is one
          ├── StyleError          a style is unknown, incomplete or damaged
          ├── EngineError         no engine can do what was asked: missing package, device or precision
          │    └── OutOfMemoryError    an engine needs more memory than there is
          ├── InputError          a source cannot be read
          ├── OutputError         a destination cannot be written
          └── UnfinishedError     stopped on request; what is done is kept

Anything else that comes out of streamtoon is a bug and keeps its traceback.
"""

from __future__ import annotations

from engines.errors import EngineError, OutOfMemoryError, StreamtoonError, StyleError

__all__ = [
    "EngineError",
    "InputError",
    "OutOfMemoryError",
    "OutputError",
    "StreamtoonError",
    "StyleError",
    "UnfinishedError",
]


class InputError(StreamtoonError):
    """A source cannot be read."""


class OutputError(StreamtoonError):
    """A destination cannot be written."""


class UnfinishedError(StreamtoonError):
    """A conversion was stopped on request; the same one, begun again, goes on from there."""
