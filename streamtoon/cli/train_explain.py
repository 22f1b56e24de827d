"""`streamtoon train --explain`: the keys of a recipe."""

from __future__ import annotations

from streamtoon.cli.common import console


def explain(name: str) -> None:
    """Print the explanation of a key or of all keys of a table; with an empty name, list all keys.

    Raises StreamtoonError for an unknown key.
    """
    from rich.padding import Padding

    from training.recipe_keys import find_keys

    screen, keys = console(stderr=False), find_keys(name)
    for key in keys:
        screen.print(key.name, style="bold")
        default = f"default {key.default}" if key.default else "required"
        allowed = f"{key.allowed[0].upper()}{key.allowed[1:]}; {default}."
        for line in [key.text] if not name else [key.text, allowed]:
            screen.print(Padding(line, (0, 0, 0, 2)))
    if not name:
        screen.print()
        screen.print("Run streamtoon train --explain KEY for details; KEY may be a table, such as weights.")
