"""Who draws the pictures of a conversion: a style with its settings, and the engine that they ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engines.engine import Engine
from engines.picture import Picture
from engines.style import Style
from streamtoon.media import MediaInfo
from streamtoon.media.orientation import Orientation
from streamtoon.report import EngineReport, engine_report
from streamtoon.side_by_side import side_by_side as join
from streamtoon.side_by_side import side_by_side_size


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine that is open, as `streamtoon.pipeline.run` wants it, and what it is."""

    start: Callable[[Picture], Callable[[], Picture]]
    workers: int
    report: EngineReport
    warnings: list[str]
    reused: Callable[[], int]
    """Pictures so far that were the one before again."""


class Artist:
    """A Cartoonizer as a conversion needs it."""

    def __init__(
        self, open_engine: Callable[..., Engine], style: Style, settings: dict[str, Any], side_by_side: bool
    ) -> None:
        self.style = style
        self.settings = {**settings, "side_by_side": side_by_side}
        self._open, self._own, self._side_by_side = open_engine, settings, side_by_side

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
        engine = self._open(info.width, info.height, info.rate, True, settings)
        said = [engine.facts.given_up] if engine.facts.given_up else []
        side = Orientation.of(info.display_matrix).right

        def start(picture: Picture) -> Callable[[], Picture]:
            drawn = engine.start(picture)
            return (lambda: join(picture, drawn(), side)) if self._side_by_side else drawn

        return Opened(start, engine.at_a_time, engine_report(engine.facts), said, lambda: engine.reused)
