"""Renderers for tests: of a function, live ones by keyword arguments, and one frame through any of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from engines.frame import ColorInfo, Frame
from engines.registry.style import Style, load_style
from engines.settings import EngineSettings
from streamtoon.live.renderer import LiveRenderer
from streamtoon.pipeline.renderer import FrameRenderer


class FunctionRenderer:
    """Renders by `start`, which gives each frame's job, and `finish`, which takes what the job gives."""

    def __init__(
        self,
        start: Callable[[Frame], Callable[[], Any]],
        concurrency: int = 1,
        finish: Callable[[Any], Frame] = lambda rendered: rendered,
    ) -> None:
        self._start, self.concurrency, self._finish = start, concurrency, finish

    def submit(self, frame: Frame) -> _PendingFrame:
        return _PendingFrame(self._start(frame), self._finish)


class _PendingFrame:
    def __init__(self, job: Callable[[], Any], finish: Callable[[Any], Frame]) -> None:
        self._job, self._finish = job, finish

    def compute(self) -> None:
        self._rendered = self._job()

    def result(self) -> Frame:
        return self._finish(self._rendered)


def render(renderer: FrameRenderer, frame: Frame) -> Frame:
    """One frame, computed here and now."""
    pending = renderer.submit(frame)
    pending.compute()
    return pending.result()


def live_renderer(
    style: Style | str | Path,
    *,
    width: int,
    height: int,
    rate: Fraction | None = None,
    color: ColorInfo | None = None,
    **settings: Any,
) -> LiveRenderer:
    """A LiveRenderer for the style and settings of `EngineSettings`."""
    loaded = style if isinstance(style, Style) else load_style(style)
    return LiveRenderer(
        EngineSettings(loaded, **settings), width=width, height=height, rate=rate, color=color
    )
