"""Controls of a look: groups of keys, the steps of a key press, and which keys have an effect."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from engines.looks.look import Look, LookKey, Value, look_keys

Group = Literal["Tones", "Colour", "Lines", "Pattern", "Paper"]
GROUPS: tuple[Group, ...] = ("Tones", "Colour", "Lines", "Pattern", "Paper")
STEPS = 40
"""Approximate number of steps over the range of a number."""
MIN_SLIDER_STEP = 0.01
_FIRST: dict[str, Group] = {
    "smooth": "Tones",
    "saturation": "Colour",
    "line_density": "Lines",
    "screen": "Pattern",
    "edge_darkening": "Paper",
}
"""The first key of each group, in the order of `look_keys`."""
_NEEDS: dict[str, str] = {
    "palette_amount": "palette",
    "edge_width": "edge_darkening",
    "hardness": "levels",
    "gradients": "levels",
}
"""Keys that have no effect while another one is 0 or empty."""


def groups() -> dict[str, Group]:
    """Return the group of every key, in the order of the keys."""
    found: dict[str, Group] = {}
    group: Group = "Tones"
    for key in look_keys():
        group = _FIRST.get(key.name, group)
        found[key.name] = group
    return found


def needs(name: str) -> str:
    """Return the key that this one depends on; empty if none."""
    if name in _NEEDS:
        return _NEEDS[name]
    if name.startswith("screen_"):
        return "screen"
    return "line_opacity" if name.startswith("line_") and name != "line_opacity" else ""


def counts(look: Look, name: str) -> bool:
    """Return whether a change of this key can change the drawing."""
    needed = needs(name)
    return not needed or getattr(look, needed) not in (0, (), "none")


def step(key: LookKey) -> float:
    """Return the change of a number per key press: 1, 2 or 5 times a power of ten; 0 for other kinds."""
    if key.kind != "number":
        return float(key.kind == "whole")
    rough = (key.high - key.low) / STEPS
    power = 10.0 ** math.floor(math.log10(rough))
    nearest = min((1, 2, 5, 10), key=lambda times: abs(math.log(times * power / rough)))
    return float(f"{nearest * power:.6g}")


def slider_step(key: LookKey) -> float:
    """Return the step of a slider, finer than `step` for numbers."""
    return max(MIN_SLIDER_STEP, float(f"{step(key) / 5:.1g}")) if key.kind == "number" else step(key)


def stepped(look: Look, name: str, direction: int) -> Look:
    """Return the look with one key a step up (1) or down (-1), within the range of a number.

    Choices wrap around. Raises ValueError for a key of colours, which has no steps.
    """
    key = next(each for each in look_keys() if each.name == name)
    old = getattr(look, name)
    new: Value
    if key.kind == "choice":
        new = key.choices[(key.choices.index(old) + direction) % len(key.choices)]
    elif key.kind == "whole":
        new = int(min(key.high, max(key.low, old + direction)))
    elif key.kind == "number":
        new = min(key.high, max(key.low, round(old + direction * step(key), 6)))
    else:
        raise ValueError(f"look key {name} is a colour and has no steps")
    return dataclasses.replace(look, **{name: new})  # type: ignore[arg-type]  # of the key's kind


def has_steps(key: LookKey) -> bool:
    """Return whether `stepped` can change a key."""
    return key.kind in ("number", "whole", "choice")


def spoken(value: Value) -> str:
    """Format a value for people."""
    if isinstance(value, tuple):
        return " ".join(value) or "none"
    return f"{value:g}" if isinstance(value, int | float) else value
