"""The plan of a benchmark: styles, engines, sizes and qualities, parsed from words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from engines.backends.registry import BACKENDS
from engines.errors import EngineError, StreamtoonError
from engines.registry.style import DEFAULT_STYLE, LOOK_FILE, Style, load_style
from engines.spec import PRECISIONS, QUALITIES

SIZES = {"360p": (640, 360), "480p": (854, 480), "720p": (1280, 720), "1080p": (1920, 1080),
         "1440p": (2560, 1440), "4k": (3840, 2160)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """A requested engine; "auto" lets the machine decide."""

    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """What to measure; made and checked by `plan`."""

    styles: tuple[Style, ...]
    engines: tuple[EngineChoice, ...]
    sizes: dict[str, tuple[int, int]]
    """Name -> width and height."""
    qualities: tuple[str, ...]
    sources: dict[str, str]
    """Name of a style -> its value for `--style`: a folder, or a user's look file."""


def plan(
    styles: Sequence[str], engines: Sequence[str], sizes: Sequence[str], qualities: Sequence[str]
) -> BenchmarkPlan:
    """Parse words. Empty lists mean the default style and engine, 720p, and all qualities but auto.

    Raises StreamtoonError for an unknown word.
    """
    for quality in qualities:
        if quality not in QUALITIES:
            raise EngineError(f"unknown quality {quality!r}; choose one of: {', '.join(QUALITIES)}")
    loaded = {name: load_style(name) for name in styles or (DEFAULT_STYLE,)}
    return BenchmarkPlan(
        tuple(loaded.values()),
        tuple(dict.fromkeys(_choice(words) for words in engines)) or (EngineChoice(),),
        {name.lower(): size_of(name) for name in sizes or ("720p",)},
        tuple(dict.fromkeys(qualities)) or tuple(name for name in QUALITIES if name != "auto"),
        {
            style.name: name if name.endswith(LOOK_FILE) else str(style.folder)
            for name, style in loaded.items()
        },
    )


def size_of(name: str) -> tuple[int, int]:
    """Return width and height of "720p" or "1280x720". Raises StreamtoonError."""
    if name.lower() in SIZES:
        return SIZES[name.lower()]
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", name)
    size = (int(match[1]), int(match[2])) if match else (0, 0)
    if not all(16 <= side <= 8192 and side % 2 == 0 for side in size):
        raise StreamtoonError(
            f"unknown size {name!r}; choose one of: {', '.join(SIZES)}, or even numbers such as 1280x720"
        )
    return size


def _choice(words: str) -> EngineChoice:
    """Parse "openvino", "openvino:int8" or "torch:cuda:fp16". Raises EngineError."""
    backend, *rest = words.split(":")
    if backend not in ("auto", *BACKENDS):
        raise EngineError(f"unknown engine {backend!r}; choose one of: auto, {', '.join(BACKENDS)}")
    precisions: list[str] = [word for word in rest if word in PRECISIONS]
    devices = [word for word in rest if word not in (*precisions, "auto")]
    if len(precisions) > 1 or len(devices) > 1 or "" in rest:
        raise EngineError(f"engine {words!r} is not valid; use NAME, NAME:PRECISION or NAME:DEVICE:PRECISION")
    return EngineChoice(backend, *(devices or ["auto"]), *(precisions or ["auto"]))
