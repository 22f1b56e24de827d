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

    [guided_filter]                  # not where the generator gives fields ("fields", "fields-lite")
    radius = 2                       # pixels at the style's own size, 0 to 64; smaller where it works smaller
    eps = 3e-4                       # fraction of the range squared, 1e-7 to 1
    lines = 0.0                      # optional, 0 to 1: share kept of what the filter would smooth away

    [look]                           # only where the generator gives fields: what makes a drawing of them,
    levels = 7                       # `engines.looks.look` documents its keys; all are optional

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

A style whose network several styles share has `network = "paint-and-ink"` in place of generator, parameters,
size_multiple and [sha256], and a table [look]. What it leaves out of working_height, licence, attribution,
recipe, [training] and [[data]] is the network's.
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
"""No figure of a score is larger."""
MAX_TEXT_CHARACTERS = 4_000
"""Characters of a text."""


class CardTable:
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
        if len(value) > MAX_TEXT_CHARACTERS or not all(map(_is_plain, value)):
            self._fail(key, f"at most {MAX_TEXT_CHARACTERS:,} characters, none of them a control character")
        return value

    def whole(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number from `low` to `high`; `default`, where given, when the key is missing."""
        self._known.append(key)
        if default is not None and key not in self._values:
            return default
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

    def table(self, key: str) -> CardTable:
        """A table within this one."""
        self._known.append(key)
        value = self._values.get(key)
        if not isinstance(value, dict):
            self._fail(key, f"a table [{key}]")
        return CardTable(self._file, value, f"{self._prefix}{key}.")

    def tables(self, key: str) -> list[CardTable]:
        """A list of tables; none where the key is missing."""
        self._known.append(key)
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            self._fail(key, f"a list of tables [[{key}]]")
        return [CardTable(self._file, row, f"{self._prefix}{key}[{at}].") for at, row in enumerate(value)]

    def over(self, values: Mapping[str, object]) -> CardTable:
        """This table with those values for the keys that it lacks."""
        return CardTable(self._file, {**values, **self._values}, self._prefix)

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._values

    def numbers(self) -> dict[str, float]:
        """Whatever nobody has read yet, each of it a number."""
        return {
            key: self.number(key, -MAX_SCORE, MAX_SCORE) for key in self._values if key not in self._known
        }

    def finish(self) -> None:
        """Raises StyleError for a key that is not part of the format."""
        for key in self._values:
            if key not in self._known:
                name = shown(f"{self._prefix}{key}", plain=True)
                raise StyleError(f"{self._file}: unknown key {name}; allowed are {', '.join(self._known)}")


def read_card(file: Path) -> CardTable:
    """The card's outermost table. Raises StyleError where it cannot be read or is of another format."""
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
    """The outermost table of a look that a user wrote. Raises StyleError where it cannot be read.

    base = "comic"                   # a style that is a look: what is left out is as there
    title = "My look"                # optional, as the description is
    description = "..."

    [look]                           # the keys that differ; `streamtoon styles show comic` lists all
    levels = 4

    The style's name is the file's, without .toml.
    """
    try:
        return CardTable(file, read_toml(file))
    except FileNotFoundError:
        raise StyleError(f"{file} is not a look: there is no such file") from None
    except UnreadableError as error:
        raise StyleError(f"{file} {error}") from error


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
