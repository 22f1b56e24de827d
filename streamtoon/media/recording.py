"""Live pictures into a file, each at the time at which it came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import av

from engines.picture import Picture
from streamtoon.errors import OutputError
from streamtoon.media.containers import kind_of, muxer_options
from streamtoon.media.encoders import choose_encoder
from streamtoon.media.files import HiddenFile
from streamtoon.media.probe import MediaInfo
from streamtoon.media.video import VideoEncoder


class Recording:
    """A file that appears under its name when `finish` is called, from the first picture on.

    `info` is that of the pictures. Raises OutputError, here where the place, the name or the codec will not
    do, and in `write` and `finish` where the file cannot be written; nothing is left behind then.
    """

    def __init__(self, path: Path, info: MediaInfo, *, overwrite: bool = False) -> None:
        self.path = path
        self.warnings: list[str] = []
        """Sentences for the user."""
        kind = kind_of(path)
        self._file = HiddenFile(path, source=None, overwrite=overwrite)
        self._first: int | None = None
        self._abandoned = False
        choice = choose_encoder(kind, None, None, None)
        self._file.create()
        with self._errors_told():
            options = muxer_options(kind, [info.time_base])
            name = f"file:{self._file.hidden}"
            self._container = av.open(name, "w", format=kind.format, container_options=options)
            self._video = VideoEncoder(
                self._container, kind, choice, info, (info.width, info.height), self.warnings
            )
            self._container.start_encoding()

    @property
    def frames(self) -> int:
        """Pictures written so far."""
        return self._video.frames

    def write(self, picture: Picture) -> None:
        """Take the next picture; the first is shown at 0."""
        if self._first is None:
            self._first = picture.pts
        with self._errors_told():
            self._container.mux(self._video.encode(replace(picture, pts=picture.pts - self._first)))

    def finish(self) -> bool:
        """Give the file its name; False where it has no picture or has failed, and disappears."""
        if not self.frames or self._abandoned:
            self.abandon()
            return False
        with self._errors_told():
            self._container.mux(self._video.drain())
            self._container.close()
        self._file.publish()
        return True

    def abandon(self) -> None:
        """Leave nothing behind but what is finished."""
        self._abandoned = True
        with suppress(av.FFmpegError, OSError, ValueError, AttributeError):
            self._container.close()
        self._file.discard()

    @contextmanager
    def _errors_told(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, OSError) as error:
            self.abandon()
            reason = str(getattr(error, "strerror", None) or error).rstrip(".").lower()
            raise OutputError(f"{self.path} cannot be written: {reason}.") from error
        except BaseException:
            self.abandon()
            raise
