"""Opening a video in the middle: at a key frame before the wanted time, or else at the front."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av

from streamtoon.media.nvdec import DecoderName
from streamtoon.media.opening import OpenedVideo, is_cover_art, open_video

_NO_TIMESTAMPS = 0x80
"""AVFMT_NOTIMESTAMPS: a raw stream; after a jump nobody knows what time it is."""
_LONGEST = 1e9


def origin_of(video: OpenedVideo) -> Fraction:
    """What a person calls 0: the file's first time, but not the lead-in of sound before 0."""
    return Fraction(max(0, video.container.start_time or 0), 1_000_000)


def open_at(
    path: str | Path | BinaryIO, start: float | None, decoder: DecoderName = "cpu"
) -> tuple[OpenedVideo, dict[int, bytes]]:
    """A video whose next packets lead up to `start` seconds, and its cover art by stream index.

    `decoder` and what it raises are those of `open_video`.
    """
    video = open_video(path, decoder)
    if not start or not 0 < start < _LONGEST or video.container.format.flags & _NO_TIMESTAMPS:
        return video, {}
    if video.path is None:
        return video, {}  # a pipe runs one way only: what lies before the cut is decoded and dropped
    # Cover art comes first in a file and is lost by seeking.
    covers = _read_covers(video)
    wanted = origin_of(video) + Fraction(start).limit_denominator(1_000_000)
    if seek(video, wanted):
        return video, covers
    video.close()
    return open_video(path, decoder), covers


def seek(video: OpenedVideo, wanted: Fraction) -> bool:
    """Go to a key frame at or before `wanted`; False when none was found."""
    time_base = video.stream.time_base
    back = Fraction(1, 2)
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
        back *= 4
    return False


def _read_covers(video: OpenedVideo) -> dict[int, bytes]:
    covers: dict[int, bytes] = {}
    streams = [s for s in video.container.streams.video if is_cover_art(s)]
    with suppress(av.FFmpegError):  # a damaged file: its pictures are what counts
        for packet in video.container.demux(*streams) if streams else ():
            if packet.size:
                covers.setdefault(packet.stream_index, bytes(packet))
            if len(covers) == len(streams):
                break
    return covers
