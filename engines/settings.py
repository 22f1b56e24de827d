"""The settings of an engine as one value."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from engines.backends.registry import BACKENDS
from engines.common.defaults import STABILIZE
from engines.errors import EngineError
from engines.spec import MAX_DETAIL, PRECISIONS, QUALITIES

if TYPE_CHECKING:
    from engines.registry.style import Style

BACKEND_NAMES = ("auto", *BACKENDS)


class SettingError(EngineError, ValueError):
    """A setting is out of range."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """A style and how it is rendered.

    The command line, the Python API, live commands, web pages and scores build one and pass it on. Size and
    frame rate are not included, because they belong to the video.

    Raises SettingError for a value that is not allowed.
    """

    style: Style
    backend: str = "auto"
    """A key of `engines.backends.registry.BACKENDS`, or "auto"."""
    device: str = "auto"
    """A device of the backend, for example "cpu" or "cuda:0", or "auto"."""
    precision: str = "auto"
    """One of `engines.spec.PRECISIONS`, or "auto"."""
    quality: str = "auto"
    """One of `engines.spec.QUALITIES`."""
    detail: float | None = None
    """Working size as a share of the frame's size, above 0 and at most 2; None for the quality's own.
    Above 1, which only looks can do, the drawing is reduced to the frame's size."""
    clarity: float = 0.0
    """Local contrast that the generator sees, 0 (the source's) to 1: see `engines.imaging.local_contrast`."""
    strength: float = 1.0
    """Share of the cartoon in the result, 0 (the source) to 1."""
    stabilize: float = STABILIZE
    """How steady the cartoon is where nothing moves, 0 to 1: see `engines.imaging.temporal_filter`."""

    def __post_init__(self) -> None:
        _check_name("engine", self.backend, BACKEND_NAMES)
        _check_name("precision", self.precision, ("auto", *PRECISIONS))
        _check_name("quality", self.quality, QUALITIES)
        if self.detail is not None and not 0 < self.detail <= MAX_DETAIL:
            raise SettingError(f"detail must be above 0 and at most {MAX_DETAIL:g}, not {self.detail}")
        for name in ("clarity", "strength", "stabilize"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise SettingError(f"{name} must be 0 to 1, not {value}")

    def replace(self, **changes: Any) -> Self:
        """Return a copy with other values, which are checked."""
        return dataclasses.replace(self, **changes)

    def facts(self) -> Mapping[str, Any]:
        """Return all values except the style, for JSON."""
        names = (field.name for field in dataclasses.fields(self) if field.name != "style")
        return {name: getattr(self, name) for name in names}


def _check_name(setting: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise SettingError(f"unknown {setting} {name!r}; choose one of: {', '.join(known)}")
