"""Writing frames and packets to a file that appears when it is complete."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from engines.frame import Frame
from streamtoon.media.packets import Passthrough
from streamtoon.media.reader.video_reader import VideoReader
from streamtoon.media.writer.avi_timing import with_measured_timing
from streamtoon.media.writer.coded_frame import CodedFrame
from streamtoon.media.writer.container_writer import ContainerWriter
from streamtoon.media.writer.containers import MATROSKA, kind_of
from streamtoon.media.writer.encoders import EncoderChoice, choose_encoder
from streamtoon.media.writer.output_file import HiddenFile
from streamtoon.media.writer.stream_routing import Plan
from streamtoon.media.writer.trial_mux import TrialMux


@dataclass(frozen=True, slots=True)
class OutputInfo:
    """The facts of a written video."""

    path: str
    container: str
    width: int
    """Pixels as coded."""
    height: int
    duration: float
    """Seconds from the start of the first frame to the end of the last."""
    frames: int
    video_codec: str
    audio_codecs: tuple[str, ...]

    @property
    def rate(self) -> Fraction:
        """Average frames per second; 0 for an empty video."""
        length = Fraction(self.duration).limit_denominator(1_000_000)
        return self.frames / length if length else Fraction(0)


class VideoWriter:
    """Writes one video with all streams and metadata of its source. A context manager.

    Everything is checked here, before the first frame. A trial output in memory finds out what the container
    accepts. On a clean exit from the block the file gets its name; on an exception it is removed.

    Args:
        path: A file, whose extension decides the container; '-' for standard output, or a binary file object
            (both Matroska).
        source: The reader with the other streams, metadata, chapters, rotation and tags. It must stay open.
        width: Width of the frames, if it differs from the source's.
        height: Height of the frames, if it differs from the source's.
        codec: An encoder's name or a common name; None for the container's default.
        crf: The encoder's CRF; None for the default.
        preset: The encoder's preset; None for the default.
        overwrite: Whether an existing file may be replaced.
        alone: Whether no other process writes to this path (see HiddenFile).
        plan: The plan of an earlier VideoWriter with the same arguments, to skip the trial.

    Raises:
        OutputError: The output cannot be written as requested.
    """

    def __init__(
        self,
        path: str | Path | BinaryIO,
        source: VideoReader,
        *,
        width: int | None = None,
        height: int | None = None,
        codec: str | None = None,
        crf: int | None = None,
        preset: str | None = None,
        overwrite: bool = False,
        alone: bool = False,
        plan: Plan | None = None,
    ) -> None:
        self.info: OutputInfo | None = None
        """The facts of the written video, available after the block."""
        self._file: HiddenFile | None = None
        target: str | BinaryIO
        if path == "-" or not isinstance(path, (str, Path)):
            self.kind, self.name = MATROSKA, "standard output"
            target = sys.stdout.buffer if isinstance(path, (str, Path)) else path
        else:
            self.kind, self.name = kind_of(Path(path)), str(path)
            self._file = HiddenFile(Path(path), source=source.opened.path, overwrite=overwrite, alone=alone)
            target = f"file:{self._file.hidden}"
        self.choice: EncoderChoice = choose_encoder(self.kind, codec, crf, preset)
        if self.kind.whole_rate or self.choice.needs_coarse_clock:
            source.info = with_measured_timing(source)
        size = width or source.info.width, height or source.info.height
        self.rehearsal = TrialMux(self.name, self.kind, self.choice, source, size)
        """The trial that found out what the container accepts."""
        self.plan: Plan = self.rehearsal.plan() if plan is None else plan
        """The handling of streams that the container does not accept."""
        self._output = ContainerWriter(target, self.name, self.kind, self.choice, source, size, self.plan)

    # --- input -------------------------------------------------------------------------------------

    @property
    def warnings(self) -> list[str]:
        """Warnings for the user. Most exist from the start."""
        return self._output.warnings

    @property
    def frames(self) -> int:
        """Number of frames written so far."""
        return self._output.video.frames

    @property
    def size(self) -> int:
        """Bytes on disk so far; 0 if the output is not a file."""
        return 0 if self._file is None else self._file.hidden.stat().st_size

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of the encoded frames' timestamps."""
        return self._output.video.time_base

    def write(self, item: Frame | Passthrough) -> None:
        """Write one frame or packet, in the order of the source. Raises OutputError."""
        self._output.write(item)

    def write_coded(self, coded: CodedFrame) -> None:
        """Write one frame that was encoded before, in decoding order. Raises OutputError."""
        self._output.write_coded(coded)

    def adopt_rounding(self, seconds: Fraction) -> None:
        """Set the time rounding of the frames that were encoded before."""
        self._output.video.rounding = seconds

    def abandon(self) -> None:
        """Discard the output."""
        self._output.abandon()
        if self._file is not None:
            self._file.discard()

    def __enter__(self) -> VideoWriter:
        if self._file is not None:
            self._file.create()
        try:
            self._output.begin()
        except BaseException:
            self.abandon()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.abandon()
            return
        try:
            audio = self._output.finish()
        except BaseException:
            self.abandon()
            raise
        if self._file is not None:
            self.warnings.extend(self._output.differences(self._file.hidden))
            self._file.publish()
        video = self._output.video
        self.info = OutputInfo(
            path=self.name,
            container=self.kind.format,
            width=video.width,
            height=video.height,
            duration=float(video.duration),
            frames=video.frames,
            video_codec=video.codec,
            audio_codecs=audio,
        )

    def __repr__(self) -> str:
        return f"VideoWriter({self.name!r}, {self.kind.name}, {self.frames} written)"
