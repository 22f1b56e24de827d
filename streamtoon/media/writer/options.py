"""The options of a VideoWriter as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from streamtoon.media.reader.video_reader import VideoReader
from streamtoon.media.writer.stream_routing import Plan
from streamtoon.media.writer.video_writer import VideoWriter


@dataclass(frozen=True, slots=True)
class WriterOptions:
    """The options of `VideoWriter`."""

    codec: str | None = None
    """FFmpeg's name of an encoder or a common name; None for the container's default."""
    crf: int | None = None
    """CRF on the encoder's scale; None for its default here."""
    preset: str | None = None
    """The encoder's own name of a preset; None for a fast default."""
    overwrite: bool = False
    """Whether an existing file may be replaced."""

    def open(
        self,
        path: str | Path,
        source: VideoReader,
        size: tuple[int, int],
        *,
        alone: bool = False,
        plan: Plan | None = None,
    ) -> VideoWriter:
        """Open an output for frames of `size` (width, height). The rest is as in VideoWriter."""
        width, height = size
        return VideoWriter(
            path,
            source,
            width=width,
            height=height,
            codec=self.codec,
            crf=self.crf,
            preset=self.preset,
            overwrite=self.overwrite,
            alone=alone,
            plan=plan,
        )
