"""Engines opened by keyword arguments, which read well in tests."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

from engines import factory
from engines.engine import Engine
from engines.frame import ColorInfo, Frame
from engines.registry.style import DEFAULT_STYLE, Style, load_style
from engines.settings import EngineSettings


def open_engine(
    style: Style | str | Path = DEFAULT_STYLE,
    *,
    width: int,
    height: int,
    rate: Fraction | None = None,
    throughput: bool = False,
    color: ColorInfo | None = None,
    **settings: Any,
) -> Engine:
    """`engines.factory.open_engine` for the style and settings of `EngineSettings`."""
    loaded = style if isinstance(style, Style) else load_style(style)
    return factory.open_engine(
        EngineSettings(loaded, **settings),
        width=width,
        height=height,
        rate=rate,
        throughput=throughput,
        color=color,
    )


def render_all(engine: Engine, frames: Iterable[Frame], threads: ThreadPoolExecutor) -> list[Frame]:
    """All frames, submitted at once and computed by the threads."""
    pending = [engine.submit(frame) for frame in frames]
    for computed in [threads.submit(each.compute) for each in pending]:
        computed.result(240)
    return [each.result() for each in pending]
