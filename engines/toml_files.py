"""Reading a TOML file that anybody may have written: a card, a recipe.

What `tomllib` leaves to its caller is closed here: a pipe or a device that never ends, a file of gigabytes,
tables nested deeper than the interpreter's stack, numbers longer than it converts.
"""

from __future__ import annotations

import stat
import tomllib
from pathlib import Path
from typing import Any

MOST = 1 << 18
"""Bytes; cards and recipes have a few thousand."""
SHOWN = 120
"""Characters of a value that a sentence repeats."""


class UnreadableError(Exception):
    """What is wrong with the file, as the end of a sentence that begins with its name."""


def read_toml(file: Path) -> dict[str, Any]:
    """The outermost table. Raises FileNotFoundError where there is none, UnreadableError for all else."""
    try:
        facts = file.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise UnreadableError("cannot be read: it is not a file")
        if facts.st_size > MOST:
            raise UnreadableError(f"is no such file: it has {facts.st_size:,} bytes, more than {MOST:,}")
        text = file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the name
        if isinstance(error, OSError):
            raise UnreadableError(f"cannot be read: {error.strerror or error}") from error
        raise UnreadableError(f"is not valid TOML: {error}") from error
    return parse_toml(text)


def parse_toml(text: str) -> dict[str, Any]:
    """The outermost table. Raises UnreadableError."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise UnreadableError("is not valid TOML here: its values are nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError, and whole numbers of thousands of digits
        raise UnreadableError(f"is not valid TOML: {shown(error, plain=True)}") from error


def shown(value: object, *, plain: bool = False) -> str:
    """A value as a sentence repeats it: short, on one line, `plain` without the quotes of a text."""
    try:
        text = str(value) if plain else repr(value)
    except (ValueError, RecursionError):  # a whole number of thousands of digits, a table without a bottom
        return "of a size that cannot be shown"
    short = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in short)
