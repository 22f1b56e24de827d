"""Rendering the frames of a file: a style, its settings, and the engine that they ask for."""

from __future__ import annotations

from dataclasses import dataclass

from engines.engine import Engine
from engines.frame import Frame
from engines.settings import EngineSettings
from streamtoon.engine_holder import EngineHolder, EngineRequest
from streamtoon.media import MediaInfo
from streamtoon.media.orientation import Orientation
from streamtoon.media.side_by_side import Side, side_by_side, side_by_side_size
from streamtoon.pipeline.renderer import PendingFrame
from streamtoon.reports import EngineReport, engine_report


@dataclass(frozen=True, slots=True)
class OpenRenderer:
    """An open engine as the pipeline wants it."""

    engine: Engine
    report: EngineReport
    side: Side | None
    """Where the source goes, if it is shown with the cartoon."""

    @property
    def concurrency(self) -> int:
        """Number of pending frames that may compute at the same time."""
        return self.engine.concurrency

    @property
    def warnings(self) -> list[str]:
        """Sentences for the user."""
        return [self.engine.facts.fallback] if self.engine.facts.fallback else []

    @property
    def reused(self) -> int:
        """Number of frames so far that were equal to the frame before."""
        return self.engine.reused

    @property
    def partly_reused(self) -> int:
        """Number of frames so far of which only a part was computed."""
        return self.engine.partly_reused

    def start_segment(self) -> None:
        """Forget earlier frames. A segment's frames must depend on no other segment: see `in_segments`."""
        self.engine.stabilizer.reset()

    def submit(self, frame: Frame) -> PendingFrame:
        """Begin to render a frame."""
        pending = self.engine.submit(frame)
        return pending if self.side is None else _PendingPair(pending, frame, self.side)


@dataclass(frozen=True, slots=True)
class _PendingPair:
    """A cartoon next to its source."""

    pending: PendingFrame
    source: Frame
    side: Side

    def compute(self) -> None:
        self.pending.compute()

    def result(self) -> Frame:
        return side_by_side(self.source, self.pending.result(), self.side)


class FileRenderer:
    """Opens the engine of a conversion. Nothing waits for its frames, so quality `auto` is `full`."""

    def __init__(self, holder: EngineHolder, settings: EngineSettings, *, side_by_side: bool) -> None:
        self._holder, self._side_by_side = holder, side_by_side
        self.settings = settings
        self.style = settings.style

    def size(self, info: MediaInfo) -> tuple[int, int]:
        """Width and height of the output, pixels: with the source next to it, twice the source's."""
        if not self._side_by_side:
            return info.width, info.height
        return side_by_side_size(info.width, info.height, Orientation.of(info.display_matrix).right)

    def facts(self) -> dict[str, object]:
        """Return the settings that the frames depend on."""
        facts = dict(self.settings.facts()) | {"side_by_side": self._side_by_side}
        if facts["quality"] == "auto":
            facts["quality"] = "full"
        return facts

    def open(self, info: MediaInfo, like: EngineReport | None) -> OpenRenderer:
        """Open the engine; `like` is the one that rendered earlier frames. Raises StyleError, EngineError."""
        settings = self.settings
        if like is not None:
            settings = settings.replace(backend=like.backend, device=like.device, precision=like.precision)
            if like.quality != "custom":  # which is asked for by `detail` and not by name
                settings = settings.replace(quality=like.quality)
        request = EngineRequest(settings, info.width, info.height, throughput=True)
        engine = self._holder.open(request, info.color)
        side = Orientation.of(info.display_matrix).right if self._side_by_side else None
        opened = OpenRenderer(engine, engine_report(engine.facts), side)
        opened.start_segment()  # the engine may remember another video
        return opened
