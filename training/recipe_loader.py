"""Reads recipes from TOML files, with variants and overridden settings. Errors are one sentence."""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from engines.errors import StyleError
from engines.generators import FIELD_GENERATORS, GENERATORS
from engines.looks.look import Look
from engines.registry.card import CardTable
from engines.registry.look_table import read_look
from engines.registry.style import NAME
from engines.untrusted.toml_reader import UnreadableError, parse_toml, read_toml, shown
from training.recipe import FIELD_TERMS, RENAMED_KEYS, Between, Ramp, Recipe, RecipeError, layer_names

BUNDLED = Path(__file__).parent / "recipes"
WEIGHT = Between(0, 1e6)
MAX_VARIANTS = 50
"""Largest number of variants in a file. Every variant is read and checked."""


def bundled_recipes() -> list[str]:
    """Return the names of the recipes that come with streamtoon."""
    return sorted(path.stem for path in BUNDLED.glob("*.toml"))


def find_recipe(name_or_file: str) -> Path:
    """Return the file of that name, or else the bundled recipe. Raises RecipeError where there is neither."""
    if name_or_file in bundled_recipes():
        return BUNDLED / f"{name_or_file}.toml"
    if not Path(name_or_file).is_file():
        raise RecipeError(
            f"there is no recipe {name_or_file}; name a TOML file or one of {', '.join(bundled_recipes())}"
        )
    return Path(name_or_file)


def read_recipe(path: Path, variant: str = "", settings: Iterable[str] = ()) -> Recipe:
    """Read a recipe from a TOML file.

    A file may define variants: tables [variants.NAME] with the keys that differ. A variant that is `like`
    another starts from that one. `settings` are "key=value" with dotted keys and TOML values. They are
    applied last.

    Raises RecipeError before any image is read. Its sentence names the file, the key, the value and the
    allowed values.
    """
    try:
        table = read_toml(path)
    except FileNotFoundError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from error
    except UnreadableError as error:
        raise RecipeError(f"{path}: {error}") from error
    variants = table.pop("variants", {})
    if not isinstance(variants, dict) or not all(isinstance(each, dict) for each in variants.values()):
        raise RecipeError(f"{path}: variants is {shown(variants)}; allowed are tables [variants.NAME]")
    if len(variants) > MAX_VARIANTS:
        raise RecipeError(f"{path}: there are {len(variants)} variants; allowed are at most {MAX_VARIANTS}")
    for name in variants:  # check every variant, not only the chosen one
        _build_recipe(_with_variant(table, variants, name, path), path)
    chosen = _with_variant(table, variants, variant, path) if variant else table
    for setting in settings:
        chosen = _merged(chosen, _setting(setting))
    return _build_recipe(chosen, path)


def _build_recipe(table: dict[str, Any], path: Path) -> Recipe:
    recipe: Recipe = _build(Recipe, table, path, "")
    _check_together(recipe, path)
    return recipe


def _with_variant(table: dict[str, Any], variants: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    line: list[dict[str, Any]] = []
    while name:
        if name not in variants:
            known = ", ".join(variants) or "none"
            raise RecipeError(
                f"{path}: there is no variant {shown(name)}; allowed are {shown(known, plain=True)}"
            )
        if len(line) > len(variants):
            raise RecipeError(
                f"{path}: variants.{shown(name, plain=True)} is like itself, directly or through "
                "others; remove one `like`"
            )
        changes = dict(variants[name])
        like = changes.pop("like", "")
        if not isinstance(like, str):
            raise RecipeError(
                f"{path}: like = {shown(like)} in a variant; allowed is the name of another variant"
            )
        name = like
        line.append(changes)
    for changes in reversed(line):
        table = _merged(table, changes)
    return table


def _merged(table: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(table)
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _setting(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise RecipeError(f"{text!r} has no '='; write key=value, such as weights.texture=2")
    try:
        return parse_toml(f"{key}={value}")
    except UnreadableError:
        pass
    try:  # a bare word or path is a string: shells remove quotes
        return parse_toml(f"{key}={_quoted(value)}")
    except UnreadableError as error:
        raise RecipeError(
            f"{text!r} is not a valid setting; write key=value, such as weights.texture=2"
        ) from error


def _quoted(text: str) -> str:
    return "'" + text.strip() + "'"


def _build(cls: type[Any], table: dict[str, Any], path: Path, prefix: str) -> Any:
    hints = get_type_hints(cls, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in table:
        if key not in fields:
            name = shown(f"{prefix}{key}", plain=True)
            new = RENAMED_KEYS.get(key)
            hint = f"it is now called {prefix}{new}" if new in fields else f"allowed are {', '.join(fields)}"
            raise RecipeError(f"{path}: unknown key {name}; {hint}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _value(hints[name], table[name], path, prefix + name)
        elif field.default is dataclasses.MISSING:
            raise RecipeError(f"{path}: the required key {prefix}{name} is missing")
    return cls(**values)


def _value(kind: Any, value: Any, path: Path, key: str) -> Any:
    allowed = Between(float("-inf"))
    if get_origin(kind) is Annotated:
        kind, allowed = get_args(kind)
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Ramp:
        return _ramp(value, path, key)
    if kind is Look and isinstance(value, dict):
        return _look(value, path, key)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _build(kind, value, path, key + ".")  # type: ignore[arg-type]
    if origin is Literal and value in parts:
        return value
    if origin is tuple and isinstance(value, list):
        if parts[-1] is types.EllipsisType or parts[-1] is Ellipsis:
            return tuple(_value(parts[0], item, path, f"{key}[{at}]") for at, item in enumerate(value))
        if len(value) == len(parts):
            return tuple(_value(part, item, path, key) for part, item in zip(parts, value, strict=True))
    if kind in (int, float) and type(value) in (int, kind):
        if not allowed.holds(value):
            raise RecipeError(f"{path}: {key} = {shown(value)}; allowed is {allowed}")
        return kind(value)
    if kind in (str, bool) and type(value) is kind:
        return value
    raise RecipeError(f"{path}: {key} = {shown(value)}; allowed is {_described(kind)}")


def _look(value: dict[str, Any], path: Path, key: str) -> Look:
    try:
        return read_look(CardTable(path, value, key + "."))
    except StyleError as error:
        raise RecipeError(str(error)) from error


def _ramp(value: Any, path: Path, key: str) -> Ramp:
    ends = value if isinstance(value, list) and len(value) == 2 else [value, value]
    if not all(type(end) in (int, float) and WEIGHT.holds(end) for end in ends):
        raise RecipeError(
            f"{path}: {key} = {shown(value)}; allowed is a number {WEIGHT}, or [first, last] for a "
            "weight that changes linearly"
        )
    return Ramp(*map(float, ends))


def _described(kind: Any) -> str:
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        return "a list" if parts[-1] is Ellipsis else f"a list of {len(parts)}"
    return names.get(kind, "a table")


def _check_together(recipe: Recipe, path: Path) -> None:
    """Check the rules that involve several keys. Raises RecipeError with the sentence of the first broken
    rule.
    """
    weights, adversary, features, terms = recipe.weights, recipe.adversary, recipe.features, recipe.terms()
    layers = layer_names(features.network)
    first = recipe.initialization
    inner = weights.judged_whole and adversary.discriminator != "vgg-heads"
    rules = [
        (
            re.fullmatch(NAME, recipe.name) is not None,
            f"name = {shown(recipe.name)}; allowed are lower-case letters, digits, - and _",
        ),
        (
            bool(recipe.card.title.strip() and recipe.card.licence.strip()),
            "card.title and card.licence must not be empty",
        ),
        (
            recipe.generator in GENERATORS,
            f"generator = {shown(recipe.generator)}; allowed are {', '.join(GENERATORS)}",
        ),
        (
            bool(recipe.steps) != bool(recipe.epochs),
            f"steps = {recipe.steps} and epochs = {recipe.epochs}; exactly one of them must be above 0",
        ),
        (
            recipe.makes_fields or bool(recipe.data.target),
            "data.target is empty; name a folder of drawings",
        ),
        (
            not recipe.makes_fields or terms <= FIELD_TERMS | {"consistency"},
            (
                f"weights.{', '.join(sorted(FIELD_TERMS))} train a generator of fields; they can be "
                "combined with consistency, but not with other weights"
            ),
        ),
        (
            recipe.makes_fields == (recipe.generator in FIELD_GENERATORS),
            (
                f"generator = {shown(recipe.generator)} does not fit the weights; the weights "
                f"{', '.join(sorted(FIELD_TERMS))} need one of {', '.join(FIELD_GENERATORS)}, and these "
                "generators need those weights"
            ),
        ),
        (
            "faces" not in terms or recipe.fields.faces,
            "weights.faces is above 0, but fields.faces is false; set both, or neither",
        ),
        (bool(weights.used()), "every weight is 0; at least one must be above 0"),
        (
            not first.steps or bool(first.weights.used()),
            (
                f"initialization.steps = {first.steps}, but every weight in initialization.weights is "
                "0; set a weight, or set steps to 0"
            ),
        ),
        (
            features.layer in layers,
            (
                f"features.layer = {shown(features.layer)}; allowed for {features.network} are "
                f"{', '.join(layers)}"
            ),
        ),
        (
            recipe.data.paired or not terms & {"paired", "match"},
            (
                "weights.paired and weights.match need a target for every source; set both to 0, or "
                "set data.paired = true"
            ),
        ),
        (
            inner or "cycle_features" not in terms,
            (
                "weights.cycle_features needs the discriminator of weights.adversarial or "
                "weights.match, and one other than vgg-heads; set one of these weights, or set "
                "cycle_features to 0"
            ),
        ),
        (
            bool(recipe.teacher) == ("teacher" in terms),
            (
                f"teacher = {shown(recipe.teacher)} and weights.teacher must be set together; give "
                "both, or neither"
            ),
        ),
        (
            recipe.data.crop % recipe.color_blocks == 0,
            f"color_blocks = {recipe.color_blocks}; data.crop must be a multiple of it",
        ),
        (
            not recipe.data.paired or "abstraction" not in terms,
            "data.paired = true cannot be combined with weights.abstraction; use one of them",
        ),
        (
            not first.weights.discriminator_views() and "cycle_features" not in first.weights.used(),
            "initialization.weights has a term that needs a discriminator; use only terms without one",
        ),
        (
            not adversary.soft_labels or adversary.objective in ("vanilla", "least-squares"),
            (
                f"adversary.soft_labels = true has no effect on the objective {adversary.objective}; "
                "allowed are vanilla and least-squares"
            ),
        ),
        (
            not adversary.edges or bool(recipe.data.smoothed and weights.discriminator_views()),
            (
                f"adversary.edges = {adversary.edges} needs data.smoothed (a folder made by `streamtoon "
                "dataset smooth`) and a weight for adversarial, surface or texture; without them set "
                "it to 0"
            ),
        ),
    ]
    for holds, sentence in rules:
        if not holds:
            raise RecipeError(f"{path}: {sentence}")
