"""Optimisation profiles: between which sizes an engine works, and for which it is fastest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engines.errors import EngineError

Shape = tuple[int, ...]
FREE = -1
"""A size that a graph leaves open."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Of one input."""

    smallest: Shape
    best: Shape
    largest: Shape

    @staticmethod
    def fixed(shape: Shape) -> Profile:
        """For one size alone."""
        return Profile(shape, shape, shape)

    def __post_init__(self) -> None:
        """Raises EngineError for sizes that do not rise, or are none."""
        ordered = all(
            0 < a <= b <= c for a, b, c in zip(self.smallest, self.best, self.largest, strict=False)
        )
        if not len(self.smallest) == len(self.best) == len(self.largest) or not ordered:
            raise EngineError(f"sizes have to rise from smallest over best to largest: {self}")

    def takes(self, shape: Shape) -> bool:
        """Whether an engine with this profile takes that size."""
        return len(shape) == len(self.best) and all(
            low <= size <= high for low, size, high in zip(self.smallest, shape, self.largest, strict=True)
        )

    def __str__(self) -> str:
        if self.smallest == self.largest:
            return _text(self.best)
        return f"{_text(self.smallest)}..{_text(self.largest)}, best {_text(self.best)}"


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape))


def demand_profiles(inputs: Mapping[str, Shape], profiles: Mapping[str, Profile]) -> list[str]:
    """The inputs whose sizes are free, each of which has a profile that its fixed sizes agree with.

    Raises EngineError for an input without one, and for a profile that does not fit its input.
    """
    free = [name for name, shape in inputs.items() if FREE in shape]
    if missing := [name for name in free if name not in profiles]:
        raise EngineError(f"the graph leaves the size of {', '.join(missing)} open, and no sizes were given")
    for name, profile in profiles.items():
        if name not in inputs:
            raise EngineError(f"the graph has no input {name}: it has {', '.join(inputs)}")
        sizes = zip(inputs[name], profile.smallest, profile.largest, strict=False)
        if len(inputs[name]) != len(profile.best) or any(
            size != FREE and not size == low == high for size, low, high in sizes
        ):
            raise EngineError(f"{name} is {_text(inputs[name])} in the graph, which {profile} does not fit")
    return free
