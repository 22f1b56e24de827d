"""Pictures and packets into a file that appears when it is whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import av
from av.container import OutputContainer

from engines.picture import Picture
from streamtoon.errors import OutputError
from streamtoon.media.containers import MATROSKA, kind_of, muxer_options
from streamtoon.media.encoders import EncoderChoice, choose_encoder
from streamtoon.media.files import HiddenFile
from streamtoon.media.metadata import container_tags, needs_free_keys, stream_tags
from streamtoon.media.packets import Passthrough
from streamtoon.media.routes import CopyRoute, Route, add_route
from streamtoon.media.source import Source
from streamtoon.media.video import VideoEncoder
from streamtoon.media.work import CodedPicture


@dataclass(frozen=True, slots=True)
class Written:
    """What a Sink has written."""

    path: str
    container: str
    width: int
    """Pixels, as coded."""
    height: int
    duration: float
    """Seconds from the start of the first picture to the end of the last."""
    frames: int
    video_codec: str
    audio_codecs: tuple[str, ...]


class Sink:
    """Writes one video with everything that came along with it. A context manager.

    `path` is a file, whose extension names the container; '-' (standard output) and binary file objects get
    Matroska. `source` lends its other streams, metadata, chapters, rotation and colour tags; it has to stay
    open. `width` and `height` are those of the pictures to come where they differ from the source's.
    `codec` is a common name or one of FFmpeg's encoders, `crf` and `preset` are that encoder's own. `alone`
    is as in HiddenFile.

    All is checked here, before the first picture: raises OutputError with one clear sentence. Leaving the
    block in peace gives the file its name; leaving it by an exception leaves nothing behind.
    """

    def __init__(
        self,
        path: str | Path | BinaryIO,
        source: Source,
        *,
        width: int | None = None,
        height: int | None = None,
        codec: str | None = None,
        crf: int | None = None,
        preset: str | None = None,
        overwrite: bool = False,
        alone: bool = False,
    ) -> None:
        self.warnings: list[str] = []
        """Sentences for the user; most are there from the start."""
        self.info: Written | None = None
        """What was written, once the block is left."""
        self._source = source
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
        self._video: VideoEncoder
        self._routes: dict[int, Route] = {}
        with self._errors_told():
            self._container = self._open(target)
        with self._errors_told(), self._closed_on_error():
            self._add_streams(width or source.info.width, height or source.info.height)

    # --- what it takes ---------------------------------------------------------------------------

    @property
    def frames(self) -> int:
        """Pictures written so far."""
        return self._video.frames

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of the pictures' times, as they are encoded."""
        return self._video.time_base

    def write(self, item: Picture | Passthrough) -> None:
        """Take one picture or packet, in the order that the source gave them. Raises OutputError."""
        with self._errors_told():
            if isinstance(item, Picture):
                self._container.mux(self._video.encode(item))
            elif item.stream_index in self._routes:
                self._routes[item.stream_index].write(item.packet)

    def write_coded(self, coded: CodedPicture) -> None:
        """Take one picture that was coded before, in the encoder's order. Raises OutputError."""
        with self._errors_told():
            self._container.mux(self._video.adopt(coded))

    def abandon(self) -> None:
        """Leave it at the checks: nothing is written."""
        self._abandon()

    def __enter__(self) -> Sink:
        if self._file is not None:
            self._file.create()
        try:
            with self._errors_told():
                self._container.start_encoding()
                for index, data in self._source.covers.items():
                    route = self._routes.get(index)
                    if isinstance(route, CopyRoute):
                        route.write_cover(data)
        except BaseException:
            self._abandon()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._abandon()
            return
        try:
            with self._errors_told():
                if not self._video.has_adopted:
                    self._container.mux(self._video.drain())
                for route in self._routes.values():
                    route.finish()
                audio = tuple(s.codec_context.codec.canonical_name for s in self._container.streams.audio)
                self._container.close()
        except BaseException:
            self._abandon()
            raise
        if self._file is not None:
            self._file.publish()
        self.info = Written(
            path=self.name,
            container=self.kind.format,
            width=self._video.width,
            height=self._video.height,
            duration=float(self._video.duration),
            frames=self._video.frames,
            video_codec=self._video.codec,
            audio_codecs=audio,
        )

    def __repr__(self) -> str:
        return f"Sink({self.name!r}, {self.kind.name}, {self.frames} written)"

    # --- how it gets there -----------------------------------------------------------------------

    def _open(self, target: str | BinaryIO) -> OutputContainer:
        source, kind = self._source, self.kind
        original = source.opened.container
        bases = [s.time_base for s in (source.opened.stream, *source.copied) if s.time_base]
        sounds = (s.codec_context for s in original.streams.audio)
        bases += [Fraction(1, c.sample_rate) for c in sounds if c and c.sample_rate]
        options = muxer_options(kind, bases)
        tags = container_tags(original.metadata, kind)
        if needs_free_keys(tags, kind) and not source.covers:
            options["movflags"] += "+use_metadata_tags"
        container = av.open(
            target, "w", format=kind.format, container_options=options, metadata_errors="surrogateescape"
        )
        container.metadata.update(tags)
        container.set_chapters(source.chapters())
        return container

    def _add_streams(self, width: int, height: int) -> None:
        """One stream for each of the source's, in its order."""
        main = self._source.opened.stream
        for stream in self._source.opened.container.streams:
            if stream is main:
                self._video = VideoEncoder(
                    self._container, self.kind, self.choice, self._source.info, (width, height), self.warnings
                )
                self._video.stream.metadata.update(stream_tags(main.metadata))
                self._video.stream.disposition = main.disposition
            else:
                self._routes[stream.index] = add_route(
                    self._container, self.kind, self._source, stream, self.warnings
                )

    def _abandon(self) -> None:
        with suppress(av.FFmpegError, OSError, ValueError):
            self._container.close()
        if self._file is not None:
            self._file.discard()

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        """An encoder and its container hold each other: left alone they stay in memory."""
        try:
            yield
        except BaseException:
            self._abandon()
            raise

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        """FFmpeg's errors as OutputErrors."""
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            reason = str(getattr(error, "strerror", None) or error).rstrip(".").lower()
            raise OutputError(f"{self.name} cannot be written: {reason}.") from error
