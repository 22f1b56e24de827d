"""Reading and writing a look as the table [look] of a TOML file."""

from __future__ import annotations

import re

from engines.looks.look import COLOR, DEFAULT, MAX_COLORS, Look, LookKey, Value, look_keys
from engines.registry.card import CardTable


def read_look(table: CardTable) -> Look:
    """Return the look of a card's table [look]. Raises StyleError for an unknown key or a wrong value."""
    values: dict[str, Value] = {}
    for key in look_keys():
        default = getattr(DEFAULT, key.name)
        if key.kind == "number":
            values[key.name] = table.number(key.name, key.low, key.high, default)
        elif key.kind == "whole":
            values[key.name] = table.whole(key.name, int(key.low), int(key.high), default)
        else:
            default = " ".join(default) if isinstance(default, tuple) else default
            text = table.text(key.name, pattern=_pattern(key), allowed=key.allowed, default=default)
            value = key.parsed(text)
            assert value is not None, "the pattern must match exactly the allowed values"
            values[key.name] = value
    table.finish()
    return Look(**values)  # type: ignore[arg-type]  # each value was checked by its kind


def _pattern(key: LookKey) -> str:
    if key.kind == "choice":
        return "|".join(map(re.escape, key.choices))
    return COLOR if key.kind == "color" else rf"\s*({COLOR}(\s+{COLOR}){{0,{MAX_COLORS - 1}}}\s*)?"


def to_table(look: Look) -> dict[str, object]:
    """Return what differs from the defaults, as `read_look` reads it."""
    table: dict[str, object] = {}
    for key in look_keys():
        value = getattr(look, key.name)
        if value != key.default:
            table[key.name] = " ".join(value) if isinstance(value, tuple) else value
    return table
