"""Reads a TOML file from an untrusted source, such as a card or a recipe.

It guards against what `tomllib` leaves to its caller: a pipe or device that never ends, a file of gigabytes,
tables nested deeper than the interpreter's stack, and numbers longer than it converts.
"""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

MAX_TOML_BYTES = 1 << 18
"""Cards and recipes have a few thousand bytes."""
MAX_SHOWN_CHARACTERS = 120
"""Characters of a value that an error message repeats."""


class UnreadableError(Exception):
    """The problem with a file, as the end of a sentence that begins with its name."""


def read_toml(file: Path) -> dict[str, Any]:
    """Return the root table. Raises FileNotFoundError if there is no file, UnreadableError for all else."""
    try:
        facts = file.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise UnreadableError("cannot be read: it is not a regular file")
        if facts.st_size > MAX_TOML_BYTES:
            raise UnreadableError(f"is too large: {facts.st_size:,} bytes; the limit is {MAX_TOML_BYTES:,}")
        text = file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the name
        if isinstance(error, OSError):
            raise UnreadableError(f"cannot be read: {error.strerror or error}") from error
        raise UnreadableError(f"is not valid TOML: {error}") from error
    return parse_toml(text)


def parse_toml(text: str) -> dict[str, Any]:
    """Return the root table. Raises UnreadableError."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise UnreadableError("cannot be read: its values are nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, and whole numbers of thousands of digits
        raise UnreadableError(f"is not valid TOML: {shown(error, plain=True)}") from error


def shown(value: object, *, plain: bool = False) -> str:
    """Shorten a value for an error message to one line; `plain` leaves out the quotes of a string."""
    try:
        text = str(value) if plain else repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a recursive table
        return "too long to show"
    short = text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}..."
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in short)
