"""The keys of recipes for people: meaning, allowed values and default.

`training.recipe` is the only source of this text. The meanings are the docstrings under its fields, read from
its source code.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from engines.generators import GENERATORS
from engines.looks.look import Look, look_keys
from training import recipe as source
from training.recipe import Between, Ramp, Recipe, RecipeError, Weights
from training.recipe_loader import WEIGHT


@dataclass(frozen=True, slots=True)
class RecipeKey:
    """One key of a recipe."""

    name: str
    """The dotted name, as `--set` takes it: "weights.texture"."""
    allowed: str
    """The allowed type and range."""
    default: str
    """The default as TOML text. Empty where the key is required."""
    text: str
    """The meaning."""


@lru_cache(maxsize=1)
def recipe_keys() -> tuple[RecipeKey, ...]:
    """Return every key in the order of `Recipe`. The keys of a table stand together."""
    return tuple(_keys(Recipe, "", Recipe))


def find_keys(name: str) -> tuple[RecipeKey, ...]:
    """Return the key of that name, or all keys of that table, or every key for an empty name.

    Raises RecipeError for an unknown name.
    """
    found = tuple(key for key in recipe_keys() if not name or f"{key.name}.".startswith(f"{name}."))
    if not found:
        known = [key.name for key in recipe_keys()]
        ends = [each for each in known if each.rpartition(".")[2] == name.rpartition(".")[2]]
        near = ends or difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "`streamtoon train --explain` lists all keys"
        raise RecipeError(f"a recipe has no key {name!r}; {hint}")
    return found


def _keys(cls: type[Any], prefix: str, default: Any) -> Iterator[RecipeKey]:
    """Yield the keys of a table. The attributes of `default` are the default values, where there are any."""
    texts, hints = _texts()[cls.__name__], get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        kind, value = hints[field.name], getattr(default, field.name, dataclasses.MISSING)
        name, text = prefix + field.name, texts.get(field.name, "")
        if kind is Look:
            yield from _look(name, text)
        elif kind is Weights and prefix:
            yield RecipeKey(name, "a table with the keys of weights", "reconstruction = 1", text)
        elif dataclasses.is_dataclass(kind) and kind is not Ramp:
            yield from _keys(kind, f"{name}.", kind if value is dataclasses.MISSING else value)  # type: ignore[arg-type]
        else:
            allowed = f"one of {', '.join(GENERATORS)}" if name == "generator" else _allowed(kind)
            yield RecipeKey(name, allowed, "" if value is dataclasses.MISSING else _written(value), text)


def _look(name: str, text: str) -> Iterator[RecipeKey]:
    for key in look_keys():
        meaning = f"{key.text[0].upper()}{key.text[1:]}. {text}"
        yield RecipeKey(f"{name}.{key.name}", key.allowed, _written(key.default), meaning)


def _allowed(kind: Any) -> str:
    if kind is Ramp:
        return f"a number {WEIGHT}, or [first, last] for a weight that changes linearly"
    within: Between | None = None
    if get_origin(kind) is Annotated:
        kind, within = get_args(kind)
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    if get_origin(kind) is tuple:
        part, *others = get_args(kind)
        if dataclasses.is_dataclass(part):
            keys = ", ".join(field.name for field in dataclasses.fields(part))
            return f"tables with the keys {keys}"
        many = "a list" if others == [Ellipsis] else f"a list of {1 + len(others)}"
        return f"{many}, each {_allowed(part)}"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return f"{names[kind]}{f' {within}' if within else ''}"


def _written(value: Any) -> str:
    """Return `value` roughly as TOML writes it: short numbers, no quotes in lists of colours."""
    if isinstance(value, Ramp):
        return f"{value.start:g}" if value.start == value.end else f"[{value.start:g}, {value.end:g}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_written, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


@lru_cache(maxsize=1)
def _texts() -> dict[str, dict[str, str]]:
    """Return class -> field -> docstring under the field, on one line and without backticks."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(source)).body:
        if isinstance(node, ast.ClassDef):
            texts = found[node.name] = {}
            for field, below in zip(node.body, node.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(field.target, ast.Name)
                    and isinstance(below, ast.Expr)
                    and isinstance(below.value, ast.Constant)
                ):
                    texts[field.target.id] = " ".join(str(below.value.value).replace("`", "").split())
    return found
