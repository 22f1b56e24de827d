"""A look: the numbers, colours and choices that turn paint and ink response into a drawing.

Each key's range and meaning are defined here only; checks, `styles show`, sliders and error messages use
them. In TOML, a look is one flat table, and several colours are one string separated by spaces.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

from engines.errors import StyleError
from engines.untrusted.toml_reader import shown

Kind = Literal["number", "whole", "color", "choice", "colors"]
Value = float | int | str | tuple[str, ...]

COLOR = "#[0-9a-fA-F]{6}"
MAX_COLORS = 8
"""Most colours in a palette."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a key does and, for numbers, its range, including both ends."""

    text: str
    low: float = 0.0
    high: float = 1.0


def _share(text: str) -> Meaning:
    return Meaning(text, 0, 1)


@dataclass(frozen=True, slots=True)
class Look:
    """All keys of a look. Raises StyleError for a value outside its range.

    Lengths are pixels of a frame with a short side of 720 and scale with it. Luma is 0 (black) to 1 (white).
    """

    smooth: Annotated[int, Meaning("number of 3 x 3 median passes over luma, against speckle", 0, 4)] = 1
    lift: Annotated[float, Meaning("exponent of luma: below 1 brightens, above 1 darkens", 0.3, 2)] = 0.69
    contrast: Annotated[float, Meaning("contrast of middle tones; below 0 reduces it", -1, 1)] = 0.35
    local: Annotated[float, _share("how strongly dark surroundings are lifted to a middle tone")] = 0.0
    black: Annotated[float, Meaning("luma of the darkest tone: above 0 lifts the shadows", 0, 0.6)] = 0.0
    white: Annotated[float, Meaning("luma of the lightest tone", 0.4, 1)] = 1.0
    levels: Annotated[int, Meaning("number of tones; 0 for all, 1 for blank paper with lines", 0, 16)] = 7
    hardness: Annotated[float, _share("hardness of the edges between two tones")] = 0.85
    gradients: Annotated[
        float,
        _share("how softly tones change where light changes slowly, as in a sky; 0 keeps all edges hard"),
    ] = 0.0
    features: Annotated[
        float,
        _share("how strongly small dark features, such as eyes, are deepened in the colours of skin"),
    ] = 0.0

    saturation: Annotated[float, Meaning("strength of colour: 0 is grey, 1 the paint's own", 0, 4)] = 1.75
    color_levels: Annotated[
        int, Meaning("steps of colour from neutral to the strongest; 0 for all", 0, 16)
    ] = 0
    palette: Annotated[
        tuple[str, ...], Meaning("colours that tones become, dark to light; may be empty")
    ] = ()
    palette_amount: Annotated[float, _share("share of the palette; the rest is the paint's own colour")] = 1.0

    line_density: Annotated[float, Meaning("how many lines are drawn, and how thick", 0, 4)] = 1.05
    line_width: Annotated[float, Meaning("pixels that lines are widened by", 0, 3)] = 0.5
    line_length: Annotated[
        float,
        Meaning("pixels below which lines are left out in a crowd of lines and around small lights", 0, 40),
    ] = 0.0
    faint_lines: Annotated[float, _share("how strongly faint lines longer than line_length are drawn")] = 0.0
    line_softness: Annotated[float, Meaning("how soft the edges of lines are", 0.02, 1)] = 0.22
    line_opacity: Annotated[float, _share("how strongly lines cover the paint; 0 draws none")] = 1.0
    line_color: Annotated[str, Meaning("colour of lines")] = "#120d1a"
    line_tint: Annotated[float, Meaning("share of the paint's luma in lines", 0, 0.95)] = 0.08
    line_chroma: Annotated[float, _share("share of the paint's colour in lines")] = 0.3
    line_texture: Annotated[float, _share("how far the grain of the paper breaks lines up")] = 0.0

    screen: Annotated[
        Literal["none", "dots", "lines", "hatching"], Meaning("pattern that tones are drawn with")
    ] = "none"
    screen_size: Annotated[float, Meaning("pixels from one mark of the pattern to the next", 3, 32)] = 7.0
    screen_angle: Annotated[float, Meaning("direction of the pattern in degrees", -90, 90)] = 30.0
    screen_light: Annotated[float, Meaning("luma below which marks begin", 0, 1.2)] = 0.9
    screen_dark: Annotated[float, Meaning("luma at which marks cover all", -1, 1)] = 0.0
    screen_softness: Annotated[float, Meaning("how soft marks are", 0.02, 1)] = 0.25
    screen_opacity: Annotated[float, _share("how strongly marks cover the paint")] = 1.0
    screen_color: Annotated[str, Meaning("colour of marks")] = "#120d1a"
    screen_tint: Annotated[float, Meaning("share of the paint's luma in marks", 0, 0.95)] = 0.0
    screen_chroma: Annotated[float, _share("share of the paint's colour in marks")] = 0.0

    edge_darkening: Annotated[float, Meaning("how much pigment gathers at edges of patches", 0, 2)] = 0.0
    edge_width: Annotated[float, Meaning("pixels from an edge that pigment gathers in", 1, 16)] = 4.0
    pigment: Annotated[float, _share("how much pigment settles in grains")] = 0.0
    blotches: Annotated[float, _share("how unevenly the wash dries")] = 0.0
    paper: Annotated[float, _share("how deep the grain of the paper is")] = 0.0
    paper_color: Annotated[str, Meaning("colour that white becomes")] = "#ffffff"
    margin: Annotated[float, Meaning("pixels of blank paper with a rough edge around the drawing", 0, 64)] = (
        0.0
    )

    def __post_init__(self) -> None:
        for key in look_keys():
            value = getattr(self, key.name)
            if not key.allows(value):
                raise StyleError(f"look key {key.name} is {shown(value)}; allowed is {key.allowed}")


@dataclass(frozen=True, slots=True)
class LookKey:
    """A key of a look, for help, sliders and checks."""

    name: str
    kind: Kind
    low: float
    """Smallest value of a number; 0 for the other kinds."""
    high: float
    """Largest value of a number; 0 for the other kinds."""
    default: Value
    choices: tuple[str, ...]
    """The allowed strings of a choice; empty for the other kinds."""
    text: str
    """What the key does, without a full stop."""

    @property
    def allowed(self) -> str:
        """The allowed values, as the end of a sentence."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        if self.kind == "color":
            return "a colour such as #1a2b3c"
        if self.kind == "colors":
            return f"up to {MAX_COLORS} colours such as #1a2b3c, separated by spaces"
        return f"a {'whole ' if self.kind == 'whole' else ''}number from {self.low:g} to {self.high:g}"

    def allows(self, value: object) -> bool:
        """Return whether a value has the right type and is within the range."""
        if self.kind == "choice":
            return value in self.choices
        if self.kind == "color":
            return _is_color(value)
        if self.kind == "colors":
            return isinstance(value, tuple) and len(value) <= MAX_COLORS and all(map(_is_color, value))
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole and (self.kind == "whole" or not isinstance(value, float)):
            return False
        return bool(self.low <= typing.cast(float, value) <= self.high)

    def parsed(self, text: str) -> Value | None:
        """Return the value of a string; None if it is not an allowed value."""
        value: Value = text.strip()
        if self.kind == "colors":
            value = tuple(text.lower().split())
        elif self.kind == "color":
            value = text.strip().lower()
        elif self.kind in ("number", "whole"):
            try:
                value = int(text) if self.kind == "whole" else float(text)
            except ValueError:
                return None
        return value if self.allows(value) else None


def _is_color(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(COLOR, value) is not None


@lru_cache(maxsize=1)
def look_keys() -> tuple[LookKey, ...]:
    """Return all keys in the order of `Look`."""
    hints = typing.get_type_hints(Look, include_extras=True)
    return tuple(_key(field, hints[field.name]) for field in dataclasses.fields(Look))


def _key(field: dataclasses.Field[Value], hint: object) -> LookKey:
    type_, meaning = typing.get_args(hint)
    choices = typing.get_args(type_) if typing.get_origin(type_) is Literal else ()
    kinds: dict[object, Kind] = {float: "number", int: "whole", str: "color"}
    kind: Kind = "choice" if choices else kinds.get(type_, "colors")
    low, high = (meaning.low, meaning.high) if kind in ("number", "whole") else (0.0, 0.0)
    default = typing.cast(Value, field.default)
    return LookKey(field.name, kind, low, high, default, choices, meaning.text)


DEFAULT = Look()
"""Provides the keys that a table leaves out."""


def apply_changes(look: Look, changes: Mapping[str, str]) -> Look:
    """Return the look with new values, as in `--look KEY=VALUE`. Raises StyleError."""
    keys = {key.name: key for key in look_keys()}
    values: dict[str, Value] = {}
    for name, text in changes.items():
        if name not in keys:
            near = difflib.get_close_matches(name, keys, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the keys are {', '.join(keys)}"
            raise StyleError(f"unknown look key {shown(name, plain=True)}; {hint}")
        value = keys[name].parsed(text)
        if value is None:
            raise StyleError(f"look key {name} is {shown(text)}; allowed is {keys[name].allowed}")
        values[name] = value
    return dataclasses.replace(look, **values)  # type: ignore[arg-type]  # each value was checked by its kind
