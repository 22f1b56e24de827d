"""Changes to a style's look: new values for some of its keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from engines.errors import StyleError
from engines.looks.look import DEFAULT, apply_changes
from engines.registry.style import Style
from engines.untrusted.toml_reader import shown

Changes = Mapping[str, object]
"""Key -> value: a number, or a string as in `--look KEY=VALUE`; several colours may be a sequence."""


def as_texts(changes: Changes) -> dict[str, str]:
    """Return the changes with every value as a string. Raises StyleError for an unknown key or a wrong value.

    Ranges are the same for every style, so this needs none.
    """
    texts: dict[str, str] = {}
    for key, value in changes.items():
        texts[key] = " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    apply_changes(DEFAULT, texts)
    return texts


def read_changes(pairs: Sequence[str]) -> dict[str, str]:
    """Return the changes of strings KEY=VALUE; of a repeated key, the last one counts.

    Raises StyleError for a string without "=", an unknown key or a wrong value.
    """
    texts: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign:
            raise StyleError(f"look {shown(pair)} has no value; write KEY=VALUE, for example levels=8")
        texts[key.strip()] = value
    return as_texts(texts)


def with_look(style: Style, changes: Changes) -> Style:
    """Return the style with some keys of its look changed, also in its lite form.

    Raises StyleError for a style without a look, an unknown key or a wrong value.
    """
    texts = as_texts(changes)
    if not texts:
        return style
    if style.look is None:
        raise StyleError(
            f"style {style.name} has no look, so {', '.join(texts)} cannot be changed; "
            "`streamtoon styles list` shows the styles with a look"
        )
    look = apply_changes(style.look, texts)
    lite = None if style.lite is None else dataclasses.replace(style.lite, look=look)
    return dataclasses.replace(style, look=look, lite=lite)
