"""The reference of recipes: every key as `streamtoon train --explain` describes it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any


def recipe_reference() -> str:
    """Return one table of keys for each table of a recipe, as Markdown."""
    from training.recipe_keys import recipe_keys

    tables: dict[str, list[Any]] = defaultdict(list)
    for key in recipe_keys():
        tables[key.name.rpartition(".")[0]].append(key)
    lines: list[str] = []
    for table, keys in tables.items():
        lines += ["", f"## [{table}]" if table else "## Top of the file", ""]
        lines += ["| key | default | what it does |", "|---|---|---|"]
        for key in keys:
            name = key.name.rpartition(".")[2]
            default = f"`{key.default}`" if key.default else "required"
            allowed = f"{key.allowed[0].upper()}{key.allowed[1:]}."
            lines.append(f"| `{name}` | {_cell(default)} | {_cell(key.text)} *{_cell(allowed)}* |")
    return "\n".join(lines).strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "&#124;")
