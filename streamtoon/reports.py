"""Reports of finished conversions: the objects behind `--json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from engines.engine import EngineFacts
from streamtoon.pipeline.run import Stage, StageTime


@dataclass(frozen=True, slots=True)
class Alternative:
    """The estimated time of the same conversion in another quality."""

    quality: str
    seconds: float
    """Estimate for the whole conversion."""


@dataclass(frozen=True, slots=True)
class EngineReport:
    """The engine that rendered the frames."""

    backend: str
    device: str
    precision: str
    generator: str
    """The network: the style's, or that of its lite form with quality `lite`."""
    style: str
    quality: str
    scale: float
    """Working size over frame size."""
    reason: str
    """Why this quality was chosen, as a clause."""


def engine_report(facts: EngineFacts) -> EngineReport:
    """Return the report of an engine."""
    return EngineReport(
        backend=facts.backend,
        device=facts.device,
        precision=facts.precision,
        generator=facts.generator,
        style=facts.style,
        quality=facts.quality,
        scale=round(facts.scale, 4),
        reason=facts.reason,
    )


@dataclass(frozen=True, slots=True)
class MediaReport:
    """A video file that was read or written."""

    path: str
    width: int
    """Pixels as coded; a rotation by display matrix is not applied."""
    height: int
    duration: float | None
    """Seconds; None if the file does not say."""
    fps: float
    """Average frames per second."""
    codecs: tuple[str, ...]
    """FFmpeg's names: the video codec, then one codec per audio stream."""


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a converted video."""

    frames_in: int
    frames_out: int
    kept: int
    """Frames of `frames_out` that an earlier, interrupted run had rendered."""
    reused: int
    """Frames of this run that were identical to the frame before and not rendered again."""
    partly_reused: int
    """Frames of this run of which the network saw only the part that differs from the frame before. With one
    source and style, the number may differ from run to run, but never the frames.
    """
    seconds: float
    """From the call to the finished file, including opening the engine."""
    fps: float
    """Frames rendered by this run per second of `seconds`."""
    stages: dict[Stage, StageTime]
    engine: EngineReport
    input: MediaReport
    output: MediaReport
    chosen_fps: float | None
    """The rate requested by `fps`; None if every frame of the source was rendered."""
    size_bytes: int | None
    """Size of the output; None for standard output."""
    alternative: Alternative | None
    """Another quality and its estimated time, if requested and worthwhile."""
    warnings: tuple[str, ...]
    """Everything that could not be preserved, without repetitions."""

    @property
    def left_out(self) -> str:
        """A sentence on the frames that `fps` left out; empty if there are none."""
        if self.chosen_fps is None or self.chosen_fps >= self.input.fps:
            return ""
        return f"{self.chosen_fps:g} of {self.input.fps:g} frames per second; the others were left out."

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image file that was read or written."""

    path: str
    format: str
    """Pillow's name of the format: JPEG, PNG, WEBP, ..."""
    width: int
    """Pixels, after applying the EXIF orientation."""
    height: int
    frames: int
    """More than one for an animation."""


@dataclass(frozen=True, slots=True)
class ImageReport:
    """The report of a converted image or animation."""

    seconds: float
    engine: EngineReport
    input: ImageFacts
    output: ImageFacts
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values for JSON."""
        return asdict(self)
