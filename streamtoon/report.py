"""What a finished conversion says about itself: the object behind `--json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from engines.engine import EngineFacts
from streamtoon.pipeline import Stage, StageTime


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What turned the pictures."""

    backend: str
    device: str
    precision: str
    generator: str
    """The network that drew: the style's, or with quality `lite` that of its lite form."""
    style: str
    quality: str
    scale: float
    """Working size over picture size."""
    reason: str
    """Why this quality, one clause for people."""


def engine_report(facts: EngineFacts) -> EngineReport:
    """What an engine says of itself, for people."""
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
    """One file, as it was read or written."""

    path: str
    width: int
    """Pixels as coded; a rotation by display matrix is not applied."""
    height: int
    duration: float | None
    """Seconds; None where the file does not say."""
    codecs: tuple[str, ...]
    """The picture's first, then one for each track of sound, in FFmpeg's names."""


@dataclass(frozen=True, slots=True)
class Report:
    """One converted video."""

    frames_in: int
    frames_out: int
    kept: int
    """Of them, those that an earlier run of the same conversion had drawn before it was ended."""
    reused: int
    """Of those drawn now, the ones equal to the picture before them sample by sample, which cost nothing."""
    seconds: float
    """From the call to the finished file, opening the engine included."""
    fps: float
    """Pictures drawn now per second of `seconds`."""
    stages: dict[Stage, StageTime]
    engine: EngineReport
    input: MediaReport
    output: MediaReport
    warnings: tuple[str, ...]
    """What could not be kept as it was, each said once."""

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """One picture file, as it was read or written."""

    path: str
    format: str
    """Pillow's name of the format: JPEG, PNG, WEBP, ..."""
    width: int
    """Pixels, upright: after the EXIF orientation."""
    height: int
    frames: int
    """More than one: an animation."""


@dataclass(frozen=True, slots=True)
class ImageReport:
    """One converted picture or animation."""

    seconds: float
    engine: EngineReport
    input: ImageFacts
    output: ImageFacts
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return asdict(self)
