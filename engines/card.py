"""Reading and writing a style's `card.toml`, with errors that name file, key, value and what is allowed.

    format = 1                       # of this file
    name = "comic"                   # lower-case letters, digits, - and _
    title = "Comic"                  # for people
    description = "Inked outlines and flat paint."
    generator = "unet"               # a name known to engines.generators; "onnx" where there is a graph alone
    parameters = 1467075             # of the generator
    size_multiple = 4                # of the generator: heights and widths it takes, 1 to 64
    working_height = 720             # pixels of the short side that the style was made for, 16 to 4320
    licence = "CC-BY-4.0"            # of the weights
    attribution = "..."              # whom to name when the style is passed on; may be empty
    recipe = "comic.toml"            # what it was trained by
    preview = "preview.webp"         # optional: a before/after picture in the same folder

    [guided_filter]
    radius = 2                       # pixels at the style's own size, 0 to 64; smaller where it works smaller
    eps = 3e-4                       # fraction of the range squared, 1e-7 to 1
    lines = 0.0                      # optional, 0 to 1: share kept of what the filter would smooth away

    [training]                       # optional: how the weights came to be
    steps = 6300                     # of the optimizer
    seed = 0                         # of everything random
    versions = "torch 2.13.0, ..."   # of what it was computed with

    [scores]                         # optional: what `streamtoon score` said of it
    pictures = "..."                 # which photographs and drawings, how many
    kid = 0.2                        # any metric by its name, a number each

    [[data]]                         # optional, any number: what it was trained on
    name = "..."
    licence = "..."
    source = "..."                   # an address or a place; may be empty

    [sha256]                         # of the folder's other files, 64 hexadecimal digits each
    "weights.safetensors" = "..."    # not where the style is a graph alone
    "generator.onnx" = "..."
    "generator.int8.onnx" = "..."    # only where the style has that file

Every key is required unless it says otherwise, and no other is allowed. The lite network of a style has a
card of its own, of this very form, in the folder `lite`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from engines.errors import StyleError
from engines.toml_files import UnreadableError, read_toml, shown

FORMAT = 1
LARGEST = 1e12
"""No figure of a score is larger."""
LONGEST = 4_000
"""Characters of a text."""


class Table:
    """One table of a card: every `read` checks one key; `finish` refuses what nobody read."""

    def __init__(self, file: Path, values: Mapping[str, object], prefix: str = "") -> None:
        self._file = file
        self._values = values
        self._prefix = prefix
        self._known: list[str] = []

    def _fail(self, key: str, allowed: str) -> NoReturn:
        said = f"is {shown(self._values[key])}" if key in self._values else "is missing"
        name = shown(f"{self._prefix}{key}", plain=True)
        raise StyleError(f"{self._file}: {name} {said}; allowed is {allowed}")

    def text(
        self, key: str, *, pattern: str = "", allowed: str = "a text", default: str | None = None
    ) -> str:
        """A string that matches `pattern` as a whole; `default`, where given, when the key is missing."""
        self._known.append(key)
        if default is not None and key not in self._values:
            return default
        value = self._values.get(key)
        if not isinstance(value, str) or (pattern and not re.fullmatch(pattern, value, re.DOTALL)):
            self._fail(key, allowed)
        if len(value) > LONGEST or not all(map(_is_plain, value)):
            self._fail(key, f"at most {LONGEST:,} characters, none of them a control character")
        return value

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        self._known.append(key)
        value = self._values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self._fail(key, f"a whole number from {low} to {high}")
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """A number from `low` to `high`; `default`, where given, when the key is missing."""
        self._known.append(key)
        if default is not None and key not in self._values:
            return default
        value = self._values.get(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            self._fail(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def table(self, key: str) -> Table:
        """A table within this one."""
        self._known.append(key)
        value = self._values.get(key)
        if not isinstance(value, dict):
            self._fail(key, f"a table [{key}]")
        return Table(self._file, value, f"{self._prefix}{key}.")

    def tables(self, key: str) -> list[Table]:
        """A list of tables; none where the key is missing."""
        self._known.append(key)
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            self._fail(key, f"a list of tables [[{key}]]")
        return [Table(self._file, row, f"{self._prefix}{key}[{at}].") for at, row in enumerate(value)]

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._values

    def numbers(self) -> dict[str, float]:
        """Whatever nobody has read yet, each of it a number."""
        return {key: self.number(key, -LARGEST, LARGEST) for key in self._values if key not in self._known}

    def finish(self) -> None:
        """Raises StyleError for a key that is not part of the format."""
        for key in self._values:
            if key not in self._known:
                name = shown(f"{self._prefix}{key}", plain=True)
                raise StyleError(f"{self._file}: unknown key {name}; allowed are {', '.join(self._known)}")


def read_card(file: Path) -> Table:
    """The card's outermost table. Raises StyleError where it cannot be read or is of another format."""
    try:
        values = read_toml(file)
    except FileNotFoundError:
        raise StyleError(f"{file.parent} is not a style: it has no {file.name}") from None
    except UnreadableError as error:
        raise StyleError(f"{file} {error}") from error
    card = Table(file, values)
    card.whole("format", FORMAT, FORMAT)
    return card


def _is_plain(character: str) -> bool:
    """Whether a terminal shows it for what it is: no escape sequence, nothing that turns the line around."""
    if unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
        return True
    return character in "\n\t\u00ad\u200c\u200d"  # line ends, soft hyphens, joiners of Indic and emoji


def to_toml(values: Mapping[str, object]) -> str:
    """TOML of texts, numbers, tables and lists of tables, in the order given, plain keys first."""
    lines: list[str] = []
    _write_table(values, "", lines)
    return "\n".join(lines).strip() + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are all TOML's too, but JSON leaves the delete character as it is.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise TypeError(f"no TOML for {type(value).__name__}")


def _write_table(values: Mapping[str, object], prefix: str, lines: list[str]) -> None:
    later: list[tuple[str, str, Mapping[str, object]]] = []
    for key, value in values.items():
        name = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)
        if isinstance(value, Mapping):
            later.append((f"[{prefix}{name}]", name, value))
        elif isinstance(value, list | tuple):
            later.extend((f"[[{prefix}{name}]]", name, row) for row in value)
        else:
            lines.append(f"{name} = {_value(value)}")
    for heading, name, table in later:
        lines.extend(("", heading))
        _write_table(table, f"{prefix}{name}.", lines)
