"""The errors that users can cause, in one hierarchy.

    Exception
     └── StreamtoonError                    base: one clear sentence, with a way out if there is one
          ├── StyleError                    a style is unknown, incomplete or damaged
          ├── EngineError                   no engine can do the request: missing package, device or precision
          │    └── OutOfMemoryError         an engine needs more memory than is available
          ├── InputError                    a source cannot be read
          │    ├── CorruptInputError        it is damaged, truncated or empty
          │    └── UnsupportedFormatError   it is intact, but not in a supported format
          ├── OutputError                   a destination cannot be written
          │    └── DiskFullError            its disk is full
          ├── ConnectionLostError           a network address does not answer (also an InputError or
          OutputError) └── UnfinishedError               stopped on request; the finished frames are stored

Any other exception from streamtoon is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
from pathlib import Path

from engines.errors import EngineError, OutOfMemoryError, StreamtoonError, StyleError

__all__ = [
    "ConnectionLostError",
    "CorruptInputError",
    "DiskFullError",
    "EngineError",
    "InputConnectionLostError",
    "InputError",
    "OutOfMemoryError",
    "OutputConnectionLostError",
    "OutputError",
    "StreamtoonError",
    "StyleError",
    "UnfinishedError",
    "UnsupportedFormatError",
    "write_error",
]


class InputError(StreamtoonError):
    """A source cannot be read."""


class CorruptInputError(InputError):
    """A source is damaged, truncated or empty. Another copy of it may be intact.

    Damage within a video raises it only with `on_error="stop"`; otherwise streamtoon skips the damage and
    warns.
    """


class UnsupportedFormatError(InputError):
    """A source is not in a format that streamtoon can convert. Convert it with another program first."""


class OutputError(StreamtoonError):
    """A destination cannot be written."""


class DiskFullError(OutputError):
    """The disk of a destination is full, or a quota is exceeded. The same call succeeds with enough free
    space.
    """


class ConnectionLostError(StreamtoonError):
    """A network address cannot be reached, does not answer, or closed the connection. A retry may succeed.

    An address that answers but refuses (wrong password, unknown path, untrusted certificate) raises
    InputError or OutputError instead. Every ConnectionLostError is also an InputError or an OutputError.
    """


class InputConnectionLostError(ConnectionLostError, InputError):
    """The connection to a source failed."""


class OutputConnectionLostError(ConnectionLostError, OutputError):
    """The connection to a destination failed."""


class UnfinishedError(StreamtoonError):
    """A conversion was stopped on request. The same call resumes it."""


def write_error(path: str | Path, error: BaseException) -> OutputError:
    """Return the error for a failed write to `path`: a DiskFullError if the disk is full, else an
    OutputError.
    """
    if getattr(error, "errno", None) in (errno.ENOSPC, getattr(errno, "EDQUOT", None)):
        return DiskFullError(f"{path} cannot be written: the disk is full.")
    reason = str(getattr(error, "strerror", None) or error).rstrip(".").lower()
    return OutputError(f"{path} cannot be written: {reason}.")
