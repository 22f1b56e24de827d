"""Opening a video for reading: every way this can fail is one clear InputError."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from streamtoon.errors import InputError

MAX_SIDE = 16384
"""Pixels: the largest width or height that is read."""
MAX_PIXELS = 2**27
"""The largest picture that is read (134 million pixels: 16384 x 8192)."""

_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")
_NOT_A_PICTURE = Disposition.attached_pic | Disposition.timed_thumbnails


@dataclass(frozen=True, slots=True)
class OpenedVideo:
    """An open container with its main video stream."""

    container: InputContainer
    stream: VideoStream
    name: str
    """For messages: the path as given, or "standard input"."""
    path: Path | None
    """Where the file lies; None for a pipe, a file object or a URL."""


def is_cover_art(stream: Stream) -> bool:
    """True for a still picture that accompanies the media (cover, thumbnail)."""
    return bool(stream.disposition & _NOT_A_PICTURE)


def open_video(path: str | Path | BinaryIO) -> OpenedVideo:
    """Open `path` ('-' and binary file objects are read as a pipe).

    Raises InputError when there is no readable video in it.
    """
    file, name, local = _resolve(path)
    # The size cap also guards the decoders that libavformat runs while it probes.
    options = {"max_pixels": str(MAX_PIXELS)}
    try:
        container = av.open(file, "r", options=options, metadata_errors="surrogateescape")
    except (av.FFmpegError, ValueError, OSError) as error:
        raise InputError(_why_unreadable(name, local, error)) from error
    try:
        stream = _main_video(container, name)
    except InputError:
        container.close()
        raise
    return OpenedVideo(container, stream, name, local)


def _resolve(path: str | Path | BinaryIO) -> tuple[str | BinaryIO, str, Path | None]:
    if path == "-":
        return sys.stdin.buffer, "standard input", None
    if not isinstance(path, (str, Path)):
        return path, str(getattr(path, "name", "the given file object")), None
    if isinstance(path, str) and _URL.match(path):
        return path, path, None
    local = Path(path)
    try:
        if local.is_dir():
            raise InputError(f"{path} is a folder, not a video.")
        if not local.exists():
            raise InputError(f"{path} does not exist.")
        if local.is_file():
            if local.stat().st_size == 0:
                raise InputError(f"{path} is empty.")
            with local.open("rb"):
                pass
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be opened: {_reason(error)}.") from error
    # The prefix keeps names such as "12:30.mp4" or "%03d.png" from being read as protocols or patterns.
    return f"file:{local}", str(path), local


def _reason(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).rstrip(".").lower()


def _why_unreadable(name: str, local: Path | None, error: BaseException) -> str:
    if not isinstance(error, (av.error.InvalidDataError, av.error.EOFError, ValueError)):
        return f"{name} cannot be opened: {_reason(error)}."
    if local is not None and local.is_file():
        with local.open("rb") as file:
            if file.read(12)[4:8] == b"ftyp":
                return f"{name} is cut short or damaged: the index that an MP4 needs (moov) is missing."
    if local is None:
        return f"{name} is not a readable video; through a pipe, MP4 needs its index in front (faststart)."
    return f"{name} is not a readable video: it is damaged, cut short, or no media file at all."


def _main_video(container: InputContainer, name: str) -> VideoStream:
    # FFmpeg draws plain text files as video; nobody means that.
    if container.format.name in ("tty", "bin", "xbin", "adf", "idf"):
        raise InputError(f"{name} is not a readable video: it is a text file.")
    videos = [s for s in container.streams.video if not is_cover_art(s)]
    if not videos:
        found = "only sound" if container.streams.audio else "no media that can be turned into a cartoon"
        raise InputError(f"{name} has no video stream: it holds {found}.")
    stream = max(videos, key=lambda s: (bool(s.disposition & Disposition.default), _area(s)))
    if stream.codec_context is None:
        raise InputError(f"{name} is coded in a format that has no decoder here.")
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
