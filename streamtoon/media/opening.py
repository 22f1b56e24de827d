"""Opening a video for reading: every way this can fail is one clear InputError.

A path is opened by its bytes alone: only the containers of `allowed` are read, only from the local disk, and
nothing that the file names is opened with it. Whatever does not answer is given up after a while.
"""

from __future__ import annotations

import re
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from streamtoon.errors import InputError
from streamtoon.media import allowed
from streamtoon.media.nvdec import CODECS, DecoderName, accelerator, no_gpu
from streamtoon.media.patience import LIMIT, PatientFile, within

MAX_SIDE = 16384
"""Pixels: the largest width or height that is read."""
MAX_PIXELS = 2**27
"""The largest picture that is read (134 million pixels: 16384 x 8192)."""
MAX_STREAMS = 512
"""Tracks in one file; the fonts of a subtitled film count among them."""

_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")
_NOT_A_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails
_NO_FILES = {
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
}


@dataclass(frozen=True, slots=True)
class OpenedVideo:
    """An open container with its main video stream."""

    container: InputContainer
    stream: VideoStream
    name: str
    """For messages: the path as given, or "standard input"."""
    path: Path | None
    """Where the file lies; None for a pipe or a file object."""
    pipe: PatientFile | None = None
    """The named pipe that is read."""

    def close(self) -> None:
        """Close the file."""
        self.container.close()
        if self.pipe is not None:
            self.pipe.close()


def is_cover_art(stream: Stream) -> bool:
    """True for a still picture that accompanies the media (cover, thumbnail)."""
    return bool(stream.disposition & _NOT_A_PICTURE)


def open_video(path: str | Path | BinaryIO, decoder: DecoderName = "cpu") -> OpenedVideo:
    """Open `path` ('-' and binary file objects are read as a pipe, and waited for as long as they take).

    With `decoder` "nvdec" a file's pictures are decoded on the GPU, where it takes their codec.

    Raises InputError when there is no readable video in it, or no answer within patience.LIMIT seconds, and
    EngineError where no GPU can decode.
    """
    hwaccel = accelerator() if decoder == "nvdec" else None
    if path == "-":
        return _open(standard_input(), "standard input", None)
    if not isinstance(path, (str, Path)):
        return _open(path, str(getattr(path, "name", "the given file object")), None)
    name, local = str(path), Path(path)
    if within(LIMIT, lambda: _is_pipe(path), lambda _: None, name):
        return _open_pipe(local, name)
    # The prefix keeps names such as "12:30.mp4" or "%03d.png" from being read as protocols or patterns.
    return within(LIMIT, lambda: _open(f"file:{local}", name, local, hwaccel), OpenedVideo.close, name)


def standard_input() -> BinaryIO:
    """The process's own. Raises InputError where it is closed, or a terminal, which types no video."""
    if sys.stdin is None:
        raise InputError("standard input is closed: there is nothing to read.")
    if sys.stdin.isatty():
        raise InputError("standard input is a terminal: pipe a video into this command, or name a file.")
    return sys.stdin.buffer


def _is_pipe(path: str | Path) -> bool:
    """True for a named pipe, False for a file that can be read. Raises InputError for all else."""
    local = Path(path)
    try:
        kind = local.stat()
        what = _NO_FILES.get(stat.S_IFMT(kind.st_mode))
        if what:
            raise InputError(f"{path} is {what}, not a video.")
        if stat.S_ISFIFO(kind.st_mode):
            return True
        if kind.st_size == 0:
            raise InputError(f"{path} is empty.")
        with local.open("rb"):
            pass
    except (FileNotFoundError, NotADirectoryError) as error:
        if isinstance(path, str) and _URL.match(path):
            raise InputError(
                f"{path} is an address: `streamtoon stream` reads those; here, name a file."
            ) from None
        raise InputError(f"{path} does not exist.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be opened: {_reason(error)}.") from error
    return False


def _open_pipe(path: Path, name: str) -> OpenedVideo:
    try:
        pipe = PatientFile(path, LIMIT)
    except OSError as error:
        raise InputError(f"{name} cannot be opened: {_reason(error)}.") from error
    try:
        # In a thread of its own: PyAV would swallow a Ctrl-C that hits it while it reads.
        return within(None, lambda: _open(pipe, name, None), OpenedVideo.close, name)
    except BaseException:
        pipe.close()
        raise


def _open(
    file: str | BinaryIO | PatientFile, name: str, local: Path | None, hwaccel: HWAccel | None = None
) -> OpenedVideo:
    # The size cap also guards the decoders that libavformat runs while it probes.
    options = {"max_pixels": str(MAX_PIXELS), **allowed.options()}
    try:
        container = av.open(
            cast("str | BinaryIO", file),
            "r",
            options=options,
            metadata_errors="surrogateescape",
            timeout=None if local is None else LIMIT,
            hwaccel=hwaccel,
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        if hwaccel is not None and not isinstance(error, (av.error.InvalidDataError, av.error.EOFError)):
            raise no_gpu() from error  # the file itself was opened before
        raise InputError(_why_unreadable(name, local, error)) from error
    try:
        stream = main_video(container, name)
    except InputError:
        container.close()
        raise
    if hwaccel is not None and stream.codec_context.codec.canonical_name not in CODECS:
        container.close()
        return _open(file, name, local)
    return OpenedVideo(container, stream, name, local, file if isinstance(file, PatientFile) else None)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()


def _why_unreadable(name: str, local: Path | None, error: BaseException) -> str:
    if isinstance(error, av.error.ExitError):
        return f"{name} cannot be opened: it gave no answer for {LIMIT:.0f} seconds."
    if not isinstance(error, (av.error.InvalidDataError, av.error.EOFError, ValueError)):
        return f"{name} cannot be opened: {_reason(error)}."
    if local is None:
        return f"{name} is not a readable video; through a pipe, MP4 needs its index in front (faststart)."
    with local.open("rb") as file:
        head = file.read(64)
    if head[4:8] == b"ftyp":
        return f"{name} is cut short or damaged: the index that an MP4 needs (moov) is missing."
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(allowed.PLAYLISTS):
        return f"{name} is a playlist or a page, which only names other files: give the video itself."
    return f"{name} is not a readable video: it is damaged, cut short, or no media file at all."


def main_video(container: InputContainer, name: str, *, is_joined: bool = False) -> VideoStream:
    """The video that a person means. Raises InputError where there is none that can be read.

    One that `is_joined` on its way may not have told its size yet.
    """
    if len(container.streams) > MAX_STREAMS:
        raise InputError(f"{name} holds {len(container.streams)} streams; the limit is {MAX_STREAMS}.")
    videos = [s for s in container.streams.video if not is_cover_art(s)]
    if not videos:
        found = "only sound" if container.streams.audio else "no media that can be turned into a cartoon"
        raise InputError(f"{name} has no video stream: it holds {found}.")
    stream = max(videos, key=lambda s: (bool(s.disposition & Disposition.default), _area(s)))
    if stream.codec_context is None:
        raise InputError(f"{name} is coded in a format that has no decoder here.")
    if not is_joined or stream.codec_context.width:
        check_size(stream.codec_context.width, stream.codec_context.height, name)
    return stream


def _area(stream: VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height if stream.codec_context else 0


def check_size(width: int, height: int, name: str) -> None:
    """Raises InputError for pictures of no size or beyond MAX_SIDE and MAX_PIXELS."""
    if width < 1 or height < 1:
        raise InputError(f"{name} has no readable pictures: their size is not known ({width}x{height}).")
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        limit = f"{MAX_SIDE} pixels a side and {MAX_PIXELS // 1_000_000} million in all"
        raise InputError(f"{name} has pictures of {width}x{height}; the limit is {limit}.")
