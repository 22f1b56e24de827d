"""Reading recipes from TOML: variants, single settings from outside, and one sentence for what is wrong."""

from __future__ import annotations

import dataclasses
import re
import types
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from engines.generators import GENERATORS
from engines.style import NAME
from engines.toml_files import UnreadableError, parse_toml, read_toml, shown
from training.recipe import Between, Ramp, Recipe, RecipeError, layer_names

BUNDLED = Path(__file__).parent / "recipes"
WEIGHT = Between(0, 1e6)
MOST_VARIANTS = 50
"""Of a recipe: each is read whole, along the line of those that it is like."""


def bundled_recipes() -> list[str]:
    """The names of the recipes that come with streamtoon."""
    return sorted(path.stem for path in BUNDLED.glob("*.toml"))


def find_recipe(name_or_file: str) -> Path:
    """The file of that name, or the bundled recipe. Raises RecipeError where there is neither."""
    if name_or_file in bundled_recipes():
        return BUNDLED / f"{name_or_file}.toml"
    if not Path(name_or_file).is_file():
        raise RecipeError(
            f"{name_or_file}: no such recipe; name a TOML file or one of {', '.join(bundled_recipes())}"
        )
    return Path(name_or_file)


def read_recipe(path: Path, variant: str = "", settings: Iterable[str] = ()) -> Recipe:
    """The recipe in a TOML file.

    A file may hold variants, tables [variants.NAME] of the keys in which each differs; one that is `like`
    another differs from that. `settings` are "key=value" with dotted keys and TOML values; they come last.

    Raises RecipeError, one sentence with file, key, value and what is allowed, before anything else is read.
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
    if len(variants) > MOST_VARIANTS:
        raise RecipeError(f"{path}: there are {len(variants)} variants; allowed are {MOST_VARIANTS}")
    for name in variants:  # a mistake in any of them is told, also in those that nobody asked for
        _whole(_varied(table, variants, name, path), path)
    chosen = _varied(table, variants, variant, path) if variant else table
    for setting in settings:
        chosen = _merged(chosen, _setting(setting))
    return _whole(chosen, path)


def _whole(table: dict[str, Any], path: Path) -> Recipe:
    recipe: Recipe = _build(Recipe, table, path, "")
    _check_together(recipe, path)
    return recipe


def _varied(table: dict[str, Any], variants: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    line: list[dict[str, Any]] = []
    while name:
        if name not in variants:
            known = ", ".join(variants) or "none"
            raise RecipeError(f"{path}: no variant {shown(name)}; allowed are {shown(known, plain=True)}")
        if len(line) > len(variants):
            raise RecipeError(
                f"{path}: variants.{shown(name, plain=True)} is like itself; allowed is a line that ends"
            )
        changes = dict(variants[name])
        like = changes.pop("like", "")
        if not isinstance(like, str):
            raise RecipeError(f"{path}: a variant is like {shown(like)}; allowed is a variant's name")
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
        raise RecipeError(f"{text!r} sets nothing; write key=value, such as weights.texture=2")
    try:
        return parse_toml(f"{key}={value}")
    except UnreadableError:
        pass
    try:  # a bare word or path is a text: shells eat quotes
        return parse_toml(f"{key}={_quoted(value)}")
    except UnreadableError as error:
        raise RecipeError(f"{text!r} is no setting; write key=value, such as weights.texture=2") from error


def _quoted(text: str) -> str:
    return "'" + text.strip() + "'"


def _build(cls: type[Any], table: dict[str, Any], path: Path, prefix: str) -> Any:
    hints = get_type_hints(cls, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in table:
        if key not in fields:
            name = shown(f"{prefix}{key}", plain=True)
            raise RecipeError(f"{path}: unknown key {name}; allowed are {', '.join(fields)}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _value(hints[name], table[name], path, prefix + name)
        elif field.default is dataclasses.MISSING:
            raise RecipeError(f"{path}: the key {prefix}{name} is missing")
    return cls(**values)


def _value(kind: Any, value: Any, path: Path, key: str) -> Any:
    allowed = Between(float("-inf"))
    if get_origin(kind) is Annotated:
        kind, allowed = get_args(kind)
    origin, parts = get_origin(kind), get_args(kind)
    if kind is Ramp:
        return _ramp(value, path, key)
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


def _ramp(value: Any, path: Path, key: str) -> Ramp:
    ends = value if isinstance(value, list) and len(value) == 2 else [value, value]
    if not all(type(end) in (int, float) and WEIGHT.holds(end) for end in ends):
        raise RecipeError(
            f"{path}: {key} = {shown(value)}; "
            f"allowed is a number {WEIGHT}, or [first, last] for one that moves"
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
    """What no field can say for itself, as pairs of what has to hold and what to say where it does not."""
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
            "card.title and card.licence must not be empty; allowed are texts",
        ),
        (
            recipe.generator in GENERATORS,
            f"generator = {shown(recipe.generator)}; allowed are {', '.join(GENERATORS)}",
        ),
        (
            bool(recipe.steps) != bool(recipe.epochs),
            f"steps = {recipe.steps} and epochs = {recipe.epochs}; allowed is one of them above 0",
        ),
        (bool(weights.used()), "every weight is 0; allowed is at least one above 0"),
        (
            not first.steps or bool(first.weights.used()),
            (
                f"initialization.steps = {first.steps} has nothing to learn from; "
                "allowed is 0, or a weight above 0 in initialization.weights"
            ),
        ),
        (
            features.layer in layers,
            (
                f"features.layer = {shown(features.layer)}; "
                f"allowed for {features.network} are {', '.join(layers)}"
            ),
        ),
        (
            recipe.data.paired or not terms & {"paired", "match"},
            (
                "weights.paired and weights.match need every source's own target; "
                "allowed is 0 for both, or data.paired = true"
            ),
        ),
        (
            inner or "cycle_features" not in terms,
            (
                "weights.cycle_features looks through the discriminator of weights.adversarial or match; "
                "allowed is 0, or a weight for one of them and a discriminator other than vgg-heads"
            ),
        ),
        (
            bool(recipe.teacher) == ("teacher" in terms),
            (
                f"teacher = {shown(recipe.teacher)} and weights.teacher belong together; "
                "allowed are a style with a weight above 0, or neither"
            ),
        ),
        (
            recipe.data.crop % recipe.colour_blocks == 0,
            f"colour_blocks = {recipe.colour_blocks}; allowed is what data.crop is a multiple of",
        ),
        (
            len(recipe.abstraction.palette) != 1,
            "abstraction.palette has one colour; allowed are none, or two and more from black to white",
        ),
        (
            not first.weights.judges() and "cycle_features" not in first.weights.used(),
            "initialization.weights has a discriminator's verdict; allowed are terms without one",
        ),
        (
            not adversary.soft_labels or adversary.objective in ("vanilla", "least-squares"),
            (
                f"adversary.soft_labels = true with {adversary.objective}, which has no labels; "
                "allowed are vanilla and least-squares"
            ),
        ),
        (
            not adversary.edges or bool(recipe.data.smoothed and weights.judges()),
            (
                f"adversary.edges = {adversary.edges} needs data.smoothed, a folder that `streamtoon dataset "
                "smooth` makes, and a weight for adversarial, surface or texture; allowed is 0 without them"
            ),
        ),
    ]
    for holds, sentence in rules:
        if not holds:
            raise RecipeError(f"{path}: {sentence}")
