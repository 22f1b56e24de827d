"""Recipes: everything that makes a style, in one TOML file read into frozen dataclasses."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from engines.errors import StreamtoonError


class RecipeError(StreamtoonError):
    """A recipe has a key, type or value that it may not have."""


@dataclass(frozen=True)
class Data:
    """What is learned from."""

    photos: str
    """Folder of photographs; relative paths start at the working directory."""
    cartoons: str
    """Folder of drawings."""
    crop: int = 192
    """Side of the square crops, pixels; a multiple of 8."""
    smallest: float = 0.6
    """Pictures are shrunk by a random factor from here to 1 before they are cut."""


@dataclass(frozen=True)
class Weights:
    """The weight of every term of the generator's loss; 0 leaves the term and its cost out."""

    surface: float = 0.0
    """Discriminator on guided-filtered pictures (L_surface)."""
    texture: float = 0.0
    """Discriminator on random grey pictures (L_texture)."""
    structure: float = 0.0
    """VGG-16 distance between the output and its own superpixel abstraction (L_structure)."""
    abstraction: float = 0.0
    """L1 distance to the photograph's abstraction, of colours and of steps between neighbours."""
    content: float = 0.0
    """VGG-16 distance between output and photograph at conv4_3 before its activation (L_sp)."""
    colour: float = 0.0
    """YUV distance to the photograph's abstraction or, without one, the photograph (LWComicGAN, Eq. 5)."""
    total_variation: float = 0.0
    """L_tv."""
    scale: float = 0.0
    """L1 distance between the half-size picture's cartoon and the cartoon at half its size."""


@dataclass(frozen=True)
class Source:
    """Pictures that a style was trained on, as its card names them."""

    name: str
    licence: str
    source: str = ""
    """An address or a place."""


@dataclass(frozen=True)
class Card:
    """What the finished style's card says beside what training knows; `engines.card` documents the keys."""

    title: str
    description: str
    licence: str
    attribution: str = ""
    working_height: int = 720
    radius: int = 2
    """Of the guided filter, in pixels at the style's own size."""
    eps: float = 1e-3
    """Of the guided filter, as a fraction of the range squared."""
    lines: float = 0.0
    """Share of the drawn lines that the guided filter would smooth away and that is put back, 0..1."""
    data: tuple[Source, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """A style in the making."""

    name: str
    data: Data
    weights: Weights
    card: Card
    generator: str = "unet"
    discriminator: Literal["patch", "vgg-heads"] = "vgg-heads"
    steps: int = 20_000
    warm_up: int = 0
    """First steps, learned from the terms on pixels alone: a third of the work of the others."""
    batch: int = 16
    generator_rate: float = 1.5e-4
    discriminator_rate: float = 1.5e-4
    schedule: Literal["constant", "cosine"] = "constant"
    """Of both rates; `cosine` climbs for 100 steps, then falls along half a cosine to a tenth."""
    betas: tuple[float, float] = (0.5, 0.99)
    """Adam's."""
    ema: float = 0.999
    """Decay per step of the averaged weights, which are what is shipped."""
    seed: int = 0


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file.

    Raises RecipeError, one sentence with file, key, value and what is allowed, before anything else is read.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path}: not TOML ({error})") from error
    recipe: Recipe = _build(Recipe, table, path, "")
    _check_ranges(recipe, path)
    return recipe


def _build(cls: type[Any], table: dict[str, Any], path: Path, prefix: str) -> Any:
    types = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in table:
        if key not in fields:
            raise RecipeError(f"{path}: unknown key {prefix}{key}; allowed are {', '.join(fields)}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _value(types[name], table[name], path, prefix + name)
        elif field.default is dataclasses.MISSING:
            raise RecipeError(f"{path}: the key {prefix}{name} is missing")
    return cls(**values)


def _value(kind: Any, value: Any, path: Path, key: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        return _build(kind, value, path, key + ".")  # type: ignore[arg-type]
    if get_origin(kind) is Literal and value in get_args(kind):
        return value
    if get_origin(kind) is tuple and get_args(kind)[-1] is Ellipsis and isinstance(value, list):
        return tuple(_value(get_args(kind)[0], item, path, f"{key}[{at}]") for at, item in enumerate(value))
    if get_origin(kind) is tuple and isinstance(value, list) and len(value) == len(get_args(kind)):
        return tuple(_value(part, item, path, key) for part, item in zip(get_args(kind), value, strict=True))
    if kind is float and type(value) in (int, float):
        return float(value)
    if kind in (int, str) and type(value) is kind:
        return value
    allowed = " or ".join(map(repr, get_args(kind))) or getattr(kind, "__name__", str(kind))
    raise RecipeError(f"{path}: {key} = {value!r}; allowed is {allowed}")


def _check_ranges(recipe: Recipe, path: Path) -> None:
    def demand(key: str, value: float, fine: bool, allowed: str) -> None:
        if not fine:
            raise RecipeError(f"{path}: {key} = {value!r}; allowed is {allowed}")

    demand("data.crop", recipe.data.crop, 64 <= recipe.data.crop <= 1024 and recipe.data.crop % 8 == 0,
           "a multiple of 8 from 64 to 1024")  # fmt: skip
    demand("data.smallest", recipe.data.smallest, 0 < recipe.data.smallest <= 1, "above 0 to 1")
    for name, low in (("steps", 1), ("warm_up", 0), ("batch", 1), ("seed", 0)):
        demand(name, getattr(recipe, name), getattr(recipe, name) >= low, f"{low} or more")
    for name in ("generator_rate", "discriminator_rate"):
        demand(name, getattr(recipe, name), 0 < getattr(recipe, name) <= 1, "above 0 to 1")
    for beta in recipe.betas:
        demand("betas", beta, 0 <= beta < 1, "from 0 to below 1")
    demand("ema", recipe.ema, 0 <= recipe.ema < 1, "from 0 to below 1")
    demand(
        "card.working_height",
        recipe.card.working_height,
        16 <= recipe.card.working_height <= 4320,
        "16 to 4320",
    )
    demand("card.radius", recipe.card.radius, 0 <= recipe.card.radius <= 64, "0 to 64")
    demand("card.eps", recipe.card.eps, 1e-7 <= recipe.card.eps <= 1, "1e-7 to 1")
    demand("card.lines", recipe.card.lines, 0 <= recipe.card.lines <= 1, "0 to 1")
    pixels = ("abstraction", "colour", "total_variation", "scale")
    if recipe.warm_up and not any(getattr(recipe.weights, name) for name in pixels):
        raise RecipeError(
            f"{path}: warm_up = {recipe.warm_up} has nothing to learn from; "
            f"allowed is 0, or a weight above 0 for one of {', '.join(pixels)}"
        )
    if not any(dataclasses.astuple(recipe.weights)):
        raise RecipeError(f"{path}: every weight is 0; allowed is at least one above 0")
    for field in dataclasses.fields(recipe.weights):
        weight = getattr(recipe.weights, field.name)
        demand(f"weights.{field.name}", weight, 0 <= weight < 1e6, "0 or more")
