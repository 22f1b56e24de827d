"""Changes to a style's look: some keys with new values, and the style that draws with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from engines.errors import StyleError
from engines.looks.look import DEFAULT, apply_changes
from engines.registry.style import Style
from engines.untrusted.toml_reader import shown

Changes = Mapping[str, object]
"""Key to value: a number, or a text as `--look KEY=VALUE` gives it; several colours may be a sequence."""


def as_texts(changes: Changes) -> dict[str, str]:
    """The changes with every value as a text, each checked. Raises StyleError for a key or value.

    Ranges are the same for every style, so no style is needed for this.
    """
    texts: dict[str, str] = {}
    for key, value in changes.items():
        texts[key] = " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    apply_changes(DEFAULT, texts)
    return texts


def read_changes(pairs: Sequence[str]) -> dict[str, str]:
    """The changes of texts KEY=VALUE; of a key that is there twice, the last one counts.

    Raises StyleError for a text without a "=", a key that no look has, or a value that is not allowed.
    """
    texts: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign:
            raise StyleError(f"look {shown(pair)} has no value; write KEY=VALUE, such as levels=8")
        texts[key.strip()] = value
    return as_texts(texts)


def with_look(style: Style, changes: Changes) -> Style:
    """The style with some keys of its look changed, its lite form too; itself where there are no changes.

    Raises StyleError for a style that is not a look, a key that no look has, or a value that is not allowed.
    """
    texts = as_texts(changes)
    if not texts:
        return style
    if style.look is None:
        raise StyleError(
            f"style {style.name} is not a look, so {', '.join(texts)} cannot be changed: "
            "`streamtoon styles list` names the styles that are looks"
        )
    look = apply_changes(style.look, texts)
    lite = None if style.lite is None else dataclasses.replace(style.lite, look=look)
    return dataclasses.replace(style, look=look, lite=lite)
