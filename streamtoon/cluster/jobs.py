"""What is sent to workers: a video with its settings, and a stretch of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from engines.registry.look_changes import read_changes, with_look
from engines.registry.style import load_style
from engines.settings import EngineSettings
from streamtoon.convert.renderer import FileRenderer
from streamtoon.convert.video import Conversion
from streamtoon.engine_holder import EngineHolder
from streamtoon.media.reader.options import ReaderOptions
from streamtoon.media.segments.segment_file import SegmentEnds
from streamtoon.media.writer.options import WriterOptions


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """A style by its name and the settings of its engine. Every machine loads the style from its own disk."""

    style: str
    look: tuple[str, ...] = ()
    """Changes of the look, as KEY=VALUE."""
    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    quality: str = "full"
    detail: float | None = None
    strength: float = 1.0
    stabilize: float = 0.0
    clarity: float = 0.0

    def settings(self, device: str | None = None) -> EngineSettings:
        """Load the style and return the settings, with another device if one is given. Raises StyleError."""
        return EngineSettings(
            style=with_look(load_style(self.style), read_changes(self.look)),
            backend=self.backend,
            device=self.device if device is None else device,
            precision=self.precision,
            quality=self.quality,
            detail=self.detail,
            strength=self.strength,
            stabilize=self.stabilize,
            clarity=self.clarity,
        )


@dataclass(frozen=True, slots=True)
class VideoJob:
    """One video to convert."""

    source: str
    """A path or an fsspec URL that every worker can read."""
    target: str
    """A path or an fsspec URL that every worker can write."""
    reading: ReaderOptions
    writing: WriterOptions
    engine: EngineChoice
    side_by_side: bool = False
    resume: bool = True

    @property
    def name(self) -> str:
        """The source's name without its folder."""
        return PurePosixPath(self.source).name

    @property
    def work(self) -> str:
        """Path or URL of the folder with the finished segments."""
        return f"{self.target}.segments"

    def conversion(
        self, holder: EngineHolder, source: str, target: str, device: str | None = None
    ) -> Conversion:
        """Return the conversion on one machine, of local files."""
        renderer = FileRenderer(holder, self.engine.settings(device), side_by_side=self.side_by_side)
        return Conversion(source, target, self.reading, self.writing, renderer)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive segments of one video, which one worker draws without knowing the others."""

    number: int
    """Number of its first segment."""
    count: int
    """Number of segments."""
    frames_before: int
    """Frames of the video before the first segment."""
    pts: int
    """Timestamp of the first frame, in the source's time base."""


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What the driver keeps of a finished segment, whose packets stay on the storage."""

    number: int
    ends: SegmentEnds
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class StretchResult:
    """The segments that are finished after a worker's task."""

    segments: tuple[SegmentFacts, ...]
    drawn: int
    """Frames that this task drew."""
    reused: int
    """Frames of these that were equal to the one before."""
    partly_reused: int
    """Frames of these of which only a part was computed."""
    stage_ms: dict[str, tuple[float, float]]
    """Mean and 95th percentile of the milliseconds of a frame, by stage."""
