"""Who draws the pictures of a conversion: a style with its settings, and the engine that they ask for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engines.engine import Engine
from engines.picture import Picture
from engines.stabilize import Stabilizer
from engines.style import Style
from streamtoon.media import MediaInfo
from streamtoon.media.orientation import Orientation
from streamtoon.report import EngineReport, engine_report
from streamtoon.side_by_side import Side, side_by_side_size
from streamtoon.side_by_side import side_by_side as join


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine that is open, as `streamtoon.pipeline.run` wants it, and what it is."""

    start: Callable[[Picture], Callable[[], Picture]]
    workers: int
    report: EngineReport
    warnings: list[str]
    reused: Callable[[], int]
    """Pictures so far that were the one before again."""
    finish: Callable[[Picture], Picture]
    """Called with every cartoon in its order, before it is written."""
    stabilizer: Stabilizer | None
    """What remembers the pictures before, where the cartoon is held steady."""


class Artist:
    """A Cartoonizer as a conversion needs it."""

    def __init__(
        self,
        open_engine: Callable[..., Engine],
        style: Style,
        settings: dict[str, Any],
        side_by_side: bool,
        stabilize: float = 0.0,
    ) -> None:
        self.style = style
        self.settings = {**settings, "side_by_side": side_by_side}
        if stabilize:
            self.settings["stabilize"] = stabilize
        self._open, self._own, self._side_by_side = open_engine, settings, side_by_side
        self._stabilize = stabilize

    def size(self, info: MediaInfo) -> tuple[int, int]:
        """Twice the source's, one way or the other, with the source beside the cartoon."""
        if not self._side_by_side:
            return info.width, info.height
        return side_by_side_size(info.width, info.height, Orientation.of(info.display_matrix).right)

    def open(self, info: MediaInfo, like: EngineReport | None) -> Opened:
        """The engine, opened for many pictures in a row."""
        settings = self._own
        if like is not None:
            same = {"backend": like.backend, "device": like.device, "precision": like.precision}
            settings = {**settings, **same}
            if like.quality != "custom":  # which is not asked for by name, but by `detail`
                settings["quality"] = like.quality
        engine = self._open(info.width, info.height, info.rate, True, settings, info.colour)
        said = [engine.facts.given_up] if engine.facts.given_up else []
        side = Orientation.of(info.display_matrix).right if self._side_by_side else None
        steady = Stabilizer(self._stabilize) if self._stabilize else None
        drawing = _Drawing(engine.start, steady, side)
        report = engine_report(engine.facts)
        return Opened(
            drawing.start, engine.at_a_time, report, said, lambda: engine.reused, drawing.finish, steady
        )


class _Drawing:
    """An engine's jobs and what comes after them: within them, or, where it needs their order, afterwards."""

    def __init__(
        self,
        start: Callable[[Picture], Callable[[], Picture]],
        stabilizer: Stabilizer | None,
        side: Side | None,
    ) -> None:
        self._start, self._stabilizer, self._side = start, stabilizer, side
        self._sources: deque[Picture] = deque()

    def start(self, picture: Picture) -> Callable[[], Picture]:
        drawn = self._start(picture)
        if self._stabilizer is None:
            return lambda: self._joined(picture, drawn())
        self._sources.append(picture)
        return drawn

    def finish(self, cartoon: Picture) -> Picture:
        if self._stabilizer is None:
            return cartoon
        source = self._sources.popleft()
        return self._joined(source, self._stabilizer(source, cartoon))

    def _joined(self, source: Picture, cartoon: Picture) -> Picture:
        return cartoon if self._side is None else join(source, cartoon, self._side)
