"""Opening a video for reading. Every failure is one clear InputError.

Only the bytes of a file decide how it is opened: only formats in `allowlist` are read, only from the local
disk, and nothing that the file refers to is opened. Opening has a timeout.
"""

from __future__ import annotations

import errno
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

from streamtoon.errors import CorruptInputError, InputError, UnsupportedFormatError
from streamtoon.media.reader import allowlist
from streamtoon.media.reader.nvdec import CODECS, DecoderName, accelerator, no_gpu_error
from streamtoon.media.reader.open_timeout import OPEN_TIMEOUT_S, TimeoutPipe, run_with_timeout
from streamtoon.media.reader.pipe import HEAD_BYTES, ForwardPipe, is_seekable

MAX_SIDE_PIXELS = 16384
"""Maximum width and height of a video."""
MAX_FRAME_PIXELS = 2**27
"""Maximum pixels per frame (134 million: 16384 x 8192)."""
MAX_STREAMS = 512
"""Maximum number of streams in one file. The fonts of a subtitled film count as streams."""

_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")
_STILL = "{} is a still image, not a video. Use `streamtoon image`."
_COVER_FLAGS = Disposition.attached_pic | Disposition.timed_thumbnails
_FILE_TYPES = {
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
    """Path of the file; None for a pipe or a file object."""
    pipe: TimeoutPipe | None = None
    """The named pipe, if one is read."""

    def close(self) -> None:
        """Close the file."""
        self.container.close()
        if self.pipe is not None:
            self.pipe.close()


def require_video(video: OpenedVideo) -> None:
    """Raise UnsupportedFormatError for a still image, which FFmpeg reads as a video of one frame."""
    if video.path is not None and video.container.format.name.endswith(("image2", "_pipe")):
        raise UnsupportedFormatError(_STILL.format(video.name))


def is_cover_art(stream: Stream) -> bool:
    """Return whether a stream is an image that accompanies the media (cover, thumbnail)."""
    return bool(stream.disposition & _COVER_FLAGS)


def is_still(stream: Stream) -> bool:
    """Return whether a stream is an image item of a HEIF or AVIF file and not a track (ISO/IEC 23008-12)."""
    return (
        isinstance(stream, VideoStream)
        and stream.container.format.name.startswith("mov")
        and stream.frames == 1
        and stream.time_base == 1
        and not stream.duration
    )


def open_video(path: str | Path | BinaryIO, decoder: DecoderName = "cpu") -> OpenedVideo:
    """Open a video for reading.

    Args:
        path: A path, '-' for standard input, or a binary file object. The last two have no timeout if they
            cannot seek.
        decoder: "nvdec" decodes a file on the GPU if it supports the codec.

    Raises:
        InputError: There is no readable video, or nothing arrived within OPEN_TIMEOUT_S seconds.
        EngineError: No GPU can decode.
    """
    hwaccel = accelerator() if decoder == "nvdec" else None
    if path == "-":
        return _open(standard_input(), "standard input", None)
    if not isinstance(path, (str, Path)):
        return _open(path, str(getattr(path, "name", "the given file object")), None)
    name, local = str(path), Path(path)
    if run_with_timeout(OPEN_TIMEOUT_S, lambda: _is_pipe(path), lambda _: None, name):
        return _open_pipe(local, name)
    # The prefix keeps names such as "12:30.mp4" or "%03d.png" from being taken as protocols or patterns.
    return run_with_timeout(
        OPEN_TIMEOUT_S, lambda: _open(f"file:{local}", name, local, hwaccel), OpenedVideo.close, name
    )


def standard_input() -> BinaryIO:
    """Return the process's standard input. Raises InputError if it is closed or a terminal."""
    if sys.stdin is None:
        raise InputError("standard input is closed, so there is nothing to read.")
    if sys.stdin.isatty():
        raise InputError("standard input is a terminal. Pipe a video into this command, or give a file name.")
    return sys.stdin.buffer


def _is_pipe(path: str | Path) -> bool:
    """Return True for a named pipe, False for a readable file. Raises InputError for anything else."""
    local = Path(path)
    try:
        kind = local.stat()
        what = _FILE_TYPES.get(stat.S_IFMT(kind.st_mode))
        if what:
            raise InputError(f"{path} is {what}, not a video.")
        if stat.S_ISFIFO(kind.st_mode):
            return True
        if kind.st_size == 0:
            raise CorruptInputError(f"{path} is empty.")
        with local.open("rb"):
            pass
    except (FileNotFoundError, NotADirectoryError) as error:
        if isinstance(path, str) and _URL.match(path):
            raise InputError(f"{path} is a URL. Give a file, or use `streamtoon stream` for URLs.") from None
        raise InputError(f"{path} does not exist.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be opened: {_reason(error)}.") from error
    return False


def _open_pipe(path: Path, name: str) -> OpenedVideo:
    try:
        pipe = TimeoutPipe(path, OPEN_TIMEOUT_S)
    except OSError as error:
        raise InputError(f"{name} cannot be opened: {_reason(error)}.") from error
    try:
        # In a separate thread: in the main thread, PyAV swallows a Ctrl-C during a read.
        return run_with_timeout(None, lambda: _open(pipe, name, None), OpenedVideo.close, name)
    except BaseException:
        pipe.close()
        raise


def _open(
    file: str | BinaryIO | TimeoutPipe, name: str, local: Path | None, hwaccel: HWAccel | None = None
) -> OpenedVideo:
    # The size limit also protects the decoders that libavformat runs during probing.
    options = {"max_pixels": str(MAX_FRAME_PIXELS), **allowlist.options()}
    read = file if isinstance(file, str) or is_seekable(file) else ForwardPipe(file, name)
    try:
        container = av.open(
            cast("str | BinaryIO", read),
            "r",
            options=options,
            metadata_errors="surrogateescape",
            timeout=None if local is None else OPEN_TIMEOUT_S,
            hwaccel=hwaccel,
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        if hwaccel is not None and not isinstance(error, (av.error.InvalidDataError, av.error.EOFError)):
            raise no_gpu_error() from error  # the file itself was opened before
        raise _open_error(name, local, read, error) from error
    try:
        stream = main_video(container, name)
    except InputError:
        container.close()
        raise
    if hwaccel is not None and stream.codec_context.codec.canonical_name not in CODECS:
        container.close()
        return _open(file, name, local)
    return OpenedVideo(container, stream, name, local, file if isinstance(file, TimeoutPipe) else None)


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()


def _open_error(
    name: str, local: Path | None, read: str | BinaryIO | TimeoutPipe | ForwardPipe, error: BaseException
) -> InputError:
    if isinstance(error, av.error.ExitError):
        return InputError(f"opening {name} timed out after {OPEN_TIMEOUT_S:.0f} seconds.")
    unreadable = InputError(f"{name} cannot be opened: {_reason(error)}.")
    # FFmpeg's Matroska demuxer raises EIO for truncated files.
    may_be_damage = local is not None and getattr(error, "errno", None) == errno.EIO
    if not (isinstance(error, (av.error.InvalidDataError, av.error.EOFError, ValueError)) or may_be_damage):
        return unreadable
    if local is not None:
        try:
            with local.open("rb") as file:
                head = file.read(HEAD_BYTES)
        except OSError:
            return unreadable
    elif isinstance(read, ForwardPipe):
        head = read.head
    else:
        front = cast(BinaryIO, read)
        front.seek(0)
        head = front.read(HEAD_BYTES)
    if not head:
        return CorruptInputError(f"{name} is empty.")
    if head[4:8] == b"ftyp":
        return CorruptInputError(f"{name} is truncated or damaged: the MP4 index (moov) is missing.")
    if head.startswith(allowlist.SIGNATURES):
        return CorruptInputError(f"{name} is truncated or damaged: it contains no readable video.")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(allowlist.PLAYLISTS):
        return UnsupportedFormatError(
            f"{name} is a playlist or web page that refers to other files. Give the video file itself."
        )
    return UnsupportedFormatError(f"{name} is not a video in a supported format.")


def main_video(container: InputContainer, name: str, *, is_joined: bool = False) -> VideoStream:
    """Return the main video stream. Raises InputError if no stream can be read.

    If the stream `is_joined` in progress, its size may still be unknown.
    """
    if len(container.streams) > MAX_STREAMS:
        raise InputError(f"{name} has {len(container.streams)} streams; the limit is {MAX_STREAMS}.")
    pictures = [s for s in container.streams.video if not is_cover_art(s)]
    videos = [s for s in pictures if not is_still(s)]
    if pictures and not videos:
        raise UnsupportedFormatError(_STILL.format(name))
    if len(videos) > 1 and container.metadata.get("major_brand") == "avis":  # with an alpha stream
        raise UnsupportedFormatError(
            f"{name} has transparency, which only `streamtoon image` can read. Use that command."
        )
    if not videos:
        found = "only audio" if container.streams.audio else "no media that can be converted"
        raise UnsupportedFormatError(f"{name} has no video stream: it contains {found}.")
    stream = max(videos, key=lambda s: (bool(s.disposition & Disposition.default), _area(s)))
    if stream.codec_context is None:
        raise UnsupportedFormatError(f"{name} uses a codec that cannot be decoded here.")
    if not is_joined or stream.codec_context.width:
        check_size(stream.codec_context.width, stream.codec_context.height, name)
    return stream


def _area(stream: VideoStream) -> int:
    return stream.codec_context.width * stream.codec_context.height if stream.codec_context else 0


def check_size(width: int, height: int, name: str) -> None:
    """Raise InputError for frames of unknown size or above MAX_SIDE_PIXELS and MAX_FRAME_PIXELS."""
    if width < 1 or height < 1:
        raise CorruptInputError(f"{name} has no readable frames: their size is unknown ({width}x{height}).")
    if width > MAX_SIDE_PIXELS or height > MAX_SIDE_PIXELS or width * height > MAX_FRAME_PIXELS:
        limit = (
            f"{MAX_SIDE_PIXELS} pixels per side and {MAX_FRAME_PIXELS // 1_000_000} million pixels per frame"
        )
        raise InputError(f"{name} has frames of {width}x{height}; the limit is {limit}.")
