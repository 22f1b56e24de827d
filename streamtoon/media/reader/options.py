"""The options of a VideoReader as one value."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from streamtoon.media.reader.frame_size import FrameSize
from streamtoon.media.reader.nvdec import DecoderName
from streamtoon.media.reader.video_reader import OnError, VideoReader


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """The options of `VideoReader`."""

    start: float | None = None
    """Start of the cut in seconds from the beginning of the video; None for no cut.

    The first frame then gets timestamp 0, and everything else keeps its position relative to it.
    """
    end: float | None = None
    """End of the cut, exclusive, in seconds from the beginning of the video; None for its end."""
    on_error: OnError = "repair"
    """`repair` skips damage; `stop` raises InputError at the first damage."""
    decoder: DecoderName = "cpu"
    """`nvdec` decodes a file on the GPU where possible. It does not report all damage within frames."""
    size: FrameSize | None = None
    """Size of the frames; None for the size of the source."""
    fps: Fraction | None = None
    """Constant frame rate to choose frames for; None for all frames of the source."""

    def open(self, path: str | Path | BinaryIO) -> VideoReader:
        """Open a video. Raises the errors of `VideoReader`."""
        return VideoReader(
            path,
            start=self.start,
            end=self.end,
            on_error=self.on_error,
            decoder=self.decoder,
            size=self.size,
            fps=self.fps,
        )
