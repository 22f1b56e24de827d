"""Timing facts for AVI, which counts frames and audio samples instead of storing timestamps.

A header may declare a constant rate for uneven frames, and no header says when audio that begins minutes
later begins. Both follow from the timestamps of the packets, which are read once without decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import av

from streamtoon.media.reader.opening import OpenedVideo
from streamtoon.media.reader.probe import MediaInfo
from streamtoon.media.reader.seek import audio_start, open_at, origin_of

if TYPE_CHECKING:
    from streamtoon.media.reader.video_reader import VideoReader

MAX_FRAMES_EXAMINED = 100_000
"""Maximum number of frames to examine: an hour."""
MAX_GRID_FPS = 120
"""Maximum frames per second, including empty ones, in a container that counts frames. Used for frames without
a grid of their own."""
_NTSC = (Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001))
_USUAL = (*_NTSC, *(Fraction(each) for each in (24, 25, 30, 48, 50, 60, 100)))
"""Usual frame rates of cameras, films and screens."""
_CLOCK_ERROR_S = Fraction(1, 1000)
"""Seconds: the coarsest clock of common containers. All times may be rounded by this much."""
_MIN_BREAK_S = 1
"""Seconds without a frame after which a grid may restart."""
_MAX_EMPTY_FRAMES = 60_000
"""Maximum number of consecutive empty frames for FFmpeg's AVI muxer. It fails on more."""


def with_measured_timing(source: VideoReader) -> MediaInfo:
    """Return the facts of `source` with `grid_rate` and `late` from its packets.

    They are unchanged if the source can be read only once.
    """
    info, path = source.info, source.opened.path
    if path is None or source.opened.pipe is not None:
        return info
    start = None if source.cut.start is None else float(source.cut.start - source.origin)
    video, _ = open_at(path, start)
    with closing(video):
        times, sounds = _first_times(video, source.shift)
        zero = source.shift or origin_of(video)
    late = tuple((index, time - zero) for index, time in sounds.items() if time > zero)
    if info.time_base != source.opened.stream.time_base:  # the frames are chosen for a rate of their own
        return replace(info, late=late)
    return replace(info, late=late, grid_rate=grid_of(times, info.grid_rate, info.rate))


def _first_times(video: OpenedVideo, begin: Fraction) -> tuple[list[Fraction], dict[int, Fraction]]:
    """Return the sorted times of the first frames from `begin` on, and the start of each audio stream by
    index.

    There are no frame times if a packet has none.
    """
    frames: list[Fraction] = []
    sounds: dict[int, Fraction] = {}
    wanted = {stream.index for stream in video.container.streams.audio}
    has_times = True
    try:
        for packet in video.container.demux(video.stream, *video.container.streams.audio):
            index, pts = packet.stream_index, packet.pts
            if not packet.size:
                continue
            if index == video.stream.index:
                has_times = has_times and pts is not None
                if pts is not None and pts * packet.time_base >= begin and len(frames) < MAX_FRAMES_EXAMINED:
                    frames.append(pts * packet.time_base)
            elif pts is not None and index in wanted:
                end = (pts + (packet.duration or 0)) * packet.time_base
                if end > begin:
                    # The start that a stream declares excludes the encoder delay.
                    known = audio_start(video.container.streams[index])  # type: ignore[arg-type]  # a sound's
                    sounds[index] = max(pts * packet.time_base, known)
                    wanted.discard(index)
            if len(frames) >= MAX_FRAMES_EXAMINED and not wanted:
                break
    except av.FFmpegError:  # damage is reported when it is reached
        pass
    return (sorted(frames) if has_times else []), sounds


def grid_of(times: Sequence[Fraction], declared: Fraction | None, rate: Fraction) -> Fraction | None:
    """Return the lowest rate whose grid contains all `times` (seconds, in order) within the clock's
    precision.

    Args:
        times: Frame times.
        declared: The rate in the header. It is returned if the times do not contradict it or are too few.
        rate: The average rate.

    Returns:
        The declared rate, or a multiple of it, a usual rate, or the finest. It is never below 98 % of the
            average rate,
        except for gaps so long that their empty frames cannot be written.
    """
    if len(times) < 3:
        return declared
    longest = max(after - before for before, after in pairwise(times))
    finest = Fraction(MAX_GRID_FPS)
    if longest * MAX_GRID_FPS > _MAX_EMPTY_FRAMES:
        finest = _MAX_EMPTY_FRAMES / longest
        finest = Fraction(int(finest)) if finest > 1 else finest
    multiples = [declared * n for n in range(2, int(finest / declared) + 1)] if declared else []
    candidates = [*filter(None, [declared]), *sorted({*multiples, *_USUAL})]
    lowest = min(rate * Fraction(98, 100), finest)
    fitting = (each for each in candidates if lowest <= each <= max(finest, rate) and _fits(times, each))
    return next(fitting, finest)


def _fits(times: Sequence[Fraction], rate: Fraction) -> bool:
    origin = times[0]
    for before, time in pairwise(times):
        if time - before > _MIN_BREAK_S:
            origin = time
        steps = (time - origin) * rate
        if abs(steps - round(steps)) > _CLOCK_ERROR_S * rate:
            return False
    return True
