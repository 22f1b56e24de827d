"""Reading and writing a style's `card.toml`. Errors name the file, the key, the value and what is allowed.

    format = 1                       # version of this format
    name = "comic"                   # lower-case letters, digits, - and _
    title = "Comic"                  # for display
    description = "Inked outlines and flat paint."
    generator = "unet"               # a key of engines.generators, or "onnx" for a graph without weights
    parameters = 1467075             # number of the generator's weights
    size_multiple = 4                # the generator's heights and widths are multiples of this, 1 to 64
    working_height = 720             # short side that the style was made for, pixels, 16 to 4320
    licence = "CC-BY-4.0"            # licence of the weights
    attribution = "..."              # credit to give when the style is passed on; may be empty
    recipe = "comic.toml"            # recipe of its training
    preview = "preview.webp"         # optional: a before/after image in the same folder

    [guided_filter]                  # not allowed if the generator gives fields ("fields", "fields-lite")
    radius = 2                       # pixels at the working height, 0 to 64
    eps = 3e-4                       # fraction of the squared range, 1e-7 to 1
    lines = 0.0                      # optional, 0 to 1: share of the detail that is put back afterwards

    [look]                           # only if the generator gives fields: how they become a drawing;
    levels = 7                       # `engines.looks.look` documents its keys, all of which are optional

    [training]                       # optional: how the weights were trained
    steps = 6300                     # optimizer steps
    seed = 0                         # random seed
    versions = "torch 2.13.0, ..."   # versions of the packages

    [scores]                         # optional: results of `streamtoon score`
    pictures = "..."                 # which photographs and drawings, and how many
    kid = 0.2                        # the value of any metric by its name

    [[data]]                         # optional, repeatable: training data
    name = "..."
    licence = "..."
    source = "..."                   # a URL or a place; may be empty

    [sha256]                         # checksums of the folder's other files, 64 hexadecimal digits each
    "weights.safetensors" = "..."    # not for generator "onnx"
    "generator.onnx" = "..."
    "generator.int8.onnx" = "..."    # only if the style has that file

All keys are required unless marked optional; no others are allowed. The lite network of a style has a card of
its own in the same format, in the folder `lite`.

The card of a style with a shared network has `network = "paint-and-ink"` instead of generator, parameters,
size_multiple and [sha256], and it has a table [look]. It inherits from the network what it leaves out of
working_height, licence, attribution, recipe, [training] and [[data]].
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from engines.errors import StyleError
from engines.untrusted.toml_reader import UnreadableError, read_toml, shown

FORMAT = 1
MAX_SCORE = 1e12
"""Largest absolute value of a score."""
MAX_TEXT_CHARACTERS = 4_000
"""Longest string in a card."""


class CardTable:
    """A table of a card. Each method that reads checks one key; `finish` rejects keys that were not read."""

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
        """Return a string that matches `pattern` as a whole; `default` if the key is missing."""
        self._known.append(key)
        if default is not None and key not in self._values:
            return default
        value = self._values.get(key)
        if not isinstance(value, str) or (pattern and not re.fullmatch(pattern, value, re.DOTALL)):
            self._fail(key, allowed)
        if len(value) > MAX_TEXT_CHARACTERS or not all(map(_is_plain, value)):
            self._fail(key, f"at most {MAX_TEXT_CHARACTERS:,} characters and no control characters")
        return value

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """Return an integer from `low` to `high`; `default` if the key is missing."""
        self._known.append(key)
        if default is not None and key not in self._values:
            return default
        value = self._values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self._fail(key, f"a whole number from {low} to {high}")
        return value

    def number(self, key: str, low: float, high: float, default: float | None = None) -> float:
        """Return a number from `low` to `high`; `default` if the key is missing."""
        self._known.append(key)
        if default is not None and key not in self._values:
            return default
        value = self._values.get(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            self._fail(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def table(self, key: str) -> CardTable:
        """Return a table inside this one."""
        self._known.append(key)
        value = self._values.get(key)
        if not isinstance(value, dict):
            self._fail(key, f"a table [{key}]")
        return CardTable(self._file, value, f"{self._prefix}{key}.")

    def tables(self, key: str) -> list[CardTable]:
        """Return an array of tables; empty if the key is missing."""
        self._known.append(key)
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            self._fail(key, f"a list of tables [[{key}]]")
        return [CardTable(self._file, row, f"{self._prefix}{key}[{at}].") for at, row in enumerate(value)]

    def over(self, values: Mapping[str, object]) -> CardTable:
        """Return a copy of this table with `values` as defaults."""
        return CardTable(self._file, {**values, **self._values}, self._prefix)

    def has(self, key: str) -> bool:
        """Return whether the key is present."""
        return key in self._values

    def numbers(self) -> dict[str, float]:
        """Return all keys that were not read yet; each must be a number."""
        return {
            key: self.number(key, -MAX_SCORE, MAX_SCORE) for key in self._values if key not in self._known
        }

    def finish(self) -> None:
        """Raise StyleError for a key that is not part of the format."""
        for key in self._values:
            if key not in self._known:
                name = shown(f"{self._prefix}{key}", plain=True)
                raise StyleError(f"{self._file}: unknown key {name}; allowed are {', '.join(self._known)}")


def read_card(file: Path) -> CardTable:
    """Read a card and return its root table. Raises StyleError if it is unreadable or of another format."""
    try:
        values = read_toml(file)
    except FileNotFoundError:
        raise StyleError(f"{file.parent} is not a style: it has no {file.name}") from None
    except UnreadableError as error:
        raise StyleError(f"{file} {error}") from error
    card = CardTable(file, values)
    card.whole("format", FORMAT, FORMAT)
    return card


def read_look_file(file: Path) -> CardTable:
    """Read a user's look file and return its root table. Raises StyleError if it is unreadable.

    base = "comic"                   # a style with a look, which provides every key that is left out
    title = "My look"                # optional, as is the description
    description = "..."

    [look]                           # only what differs; `streamtoon styles show comic` lists all keys
    levels = 4

    The name of the style is the file's name without .toml.
    """
    try:
        return CardTable(file, read_toml(file))
    except FileNotFoundError:
        raise StyleError(f"{file} is not a look: there is no such file") from None
    except UnreadableError as error:
        raise StyleError(f"{file} {error}") from error


def _is_plain(character: str) -> bool:
    """Return whether a terminal shows it as it is: no escape sequence, no change of the text's direction."""
    if unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
        return True
    return character in "\n\t\u00ad\u200c\u200d"  # soft hyphens, and joiners in Indic scripts and emoji


def to_toml(values: Mapping[str, object]) -> str:
    """Return a TOML document of strings, numbers, tables and arrays of tables, in the given order."""
    lines: list[str] = []
    _write_table(values, "", lines)
    return "\n".join(lines).strip() + "\n"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # JSON's escapes are valid in TOML, but JSON does not escape the delete character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    raise TypeError(f"cannot write a {type(value).__name__} as TOML")


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
