"""Recording live frames into a file with their arrival times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import av

from engines.frame import Frame
from streamtoon.errors import write_error
from streamtoon.media.reader.probe import MediaInfo
from streamtoon.media.writer.containers import kind_of, muxer_options
from streamtoon.media.writer.encoders import choose_encoder
from streamtoon.media.writer.output_file import HiddenFile
from streamtoon.media.writer.video_encoder import VideoEncoder


class Recording:
    """A video file of live frames. It appears under its name when `finish` is called.

    `info` describes the frames. Raises OutputError: here if the path, name or codec does not work, and in
    `write` and `finish` if the file cannot be written. No incomplete file is left behind.
    """

    def __init__(self, path: Path, info: MediaInfo, *, overwrite: bool = False) -> None:
        self.path = path
        self.warnings: list[str] = []
        """Warnings for the user."""
        kind = kind_of(path)
        self._file = HiddenFile(path, source=None, overwrite=overwrite)
        self._first: int | None = None
        self._abandoned = False
        choice = choose_encoder(kind, None, None, None)
        self._file.create()
        with self._translate_errors():
            options = muxer_options(kind, [info.time_base])
            name = f"file:{self._file.hidden}"
            self._container = av.open(name, "w", format=kind.format, container_options=options)
            self._video = VideoEncoder(
                self._container, kind, choice, info, (info.width, info.height), self.warnings
            )
            self._container.start_encoding()

    @property
    def frames(self) -> int:
        """Number of frames written so far."""
        return self._video.frames

    def write(self, picture: Frame) -> None:
        """Write the next frame. The first one gets time 0."""
        if self._first is None:
            self._first = picture.pts
        with self._translate_errors():
            self._container.mux(self._video.encode(replace(picture, pts=picture.pts - self._first)))

    def finish(self) -> bool:
        """Give the file its name. If it has no frame or has failed, remove it and return False."""
        if not self.frames or self._abandoned:
            self.abandon()
            return False
        with self._translate_errors():
            self._container.mux(self._video.drain())
            self._container.close()
        self._file.publish()
        return True

    def abandon(self) -> None:
        """Close and remove an unfinished file."""
        self._abandoned = True
        with suppress(av.FFmpegError, OSError, ValueError, AttributeError):
            self._container.close()
        self._file.discard()

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            self.abandon()
            raise write_error(self.path, error) from error
        except BaseException:
            self.abandon()
            raise
