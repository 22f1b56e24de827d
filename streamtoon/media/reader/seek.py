"""Opening a video in the middle: at a key frame before the requested time, or else at the beginning."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.stream import AudioStream

from streamtoon.media.reader.nvdec import DecoderName
from streamtoon.media.reader.opening import OpenedVideo, is_cover_art, open_video

_AVFMT_NOTIMESTAMPS = 0x80
"""AVFMT_NOTIMESTAMPS: a raw stream, which has no known time after seeking."""
_AVFMT_TS_DISCONT = 0x200
"""AVFMT_TS_DISCONT: broadcasts, in which a position is guessed from times."""
_MAX_START_S = 1e9
SEEK_MARGIN_S = Fraction(1, 2)
"""Seconds of video between the key frame and the wanted time, at least."""


def origin_of(video: OpenedVideo) -> Fraction:
    """Return the time that a user calls 0: the first time of the file, without audio before 0."""
    return Fraction(max(0, video.container.start_time or 0), 1_000_000)


def audio_start(stream: AudioStream) -> Fraction:
    """Return the start of an audio stream in the file's time, in seconds; 0 if the file does not say."""
    return (stream.start_time or 0) * (stream.time_base or Fraction(0))


def open_at(
    path: str | Path | BinaryIO, start: float | None, decoder: DecoderName = "cpu"
) -> tuple[OpenedVideo, dict[int, bytes]]:
    """Open a video so that its next packets lead up to `start` seconds. Also return cover art by stream
    index.

    `decoder` and errors are those of `open_video`.
    """
    video = open_video(path, decoder)
    if not start or not 0 < start < _MAX_START_S or video.container.format.flags & _AVFMT_NOTIMESTAMPS:
        return video, {}
    if video.path is None:
        return video, {}  # a pipe cannot seek: frames before the cut are decoded and dropped
    # Cover art comes first in a file and is lost by seeking.
    covers = _read_covers(video)
    wanted = origin_of(video) + Fraction(start).limit_denominator(1_000_000)
    if seek(video, wanted):
        return video, covers
    video.close()
    return open_video(path, decoder), covers


def has_index(video: OpenedVideo) -> bool:
    """Return whether the container knows where its frames are. Broadcasts (TS, MPEG-PS) only have times."""
    return not video.container.format.flags & _AVFMT_TS_DISCONT


def seek(video: OpenedVideo, wanted: Fraction, *, is_exact: bool = False) -> bool:
    """Seek to a key frame at or before `wanted` seconds. Return False if none was found.

    If `is_exact`, it is the last such key frame, where the container has an index. Then the fewest frames
    have to be decoded.
    """
    time_base = video.stream.time_base
    back = Fraction(0) if is_exact and has_index(video) else SEEK_MARGIN_S
    while time_base and wanted - back > origin_of(video):
        goal = int((wanted - back) / time_base)
        try:
            video.container.seek(goal, stream=video.stream)
            key = next(p for p in video.container.demux(video.stream) if p.is_keyframe)
            pts = key.pts if key.pts is not None else key.dts
            if pts is not None and pts * time_base <= wanted:
                video.container.seek(goal, stream=video.stream)
                return True
        except (av.FFmpegError, StopIteration):
            return False
        back = 4 * back or SEEK_MARGIN_S
    return False


def _read_covers(video: OpenedVideo) -> dict[int, bytes]:
    covers: dict[int, bytes] = {}
    streams = [s for s in video.container.streams.video if is_cover_art(s)]
    with suppress(av.FFmpegError):  # a damaged file: its frames matter more than its cover
        for packet in video.container.demux(*streams) if streams else ():
            if packet.size:
                covers.setdefault(packet.stream_index, bytes(packet))
            if len(covers) == len(streams):
                break
    return covers
