"""The times and key frames of a video, read from its packets without decoding them."""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise

import av

from streamtoon.media.reader.seek import has_index, open_at
from streamtoon.media.reader.video_reader import VideoReader


def index_frames(source: VideoReader, start: float | None) -> list[tuple[int, bool]] | None:
    """Return (pts, is key frame) of every frame of `source`, in order of time.

    Timestamps are those that `source` gives its frames. A seek to one of them leads to the same frame as
    reading on, unless the file is damaged: then only a decoder can say which frames there are.

    Args:
        source: An open reader that is not read yet, without a chosen frame rate.
        start: The start of the cut that it was opened with, in seconds; None for no cut.

    Returns:
        The frames, or None if the packets do not say which frames a decoder gives: times are missing or
        repeated, a packet is marked as damaged, the file's times are moved, or the container has no index.
    """
    if (
        source.opened.path is None
        or not has_index(source.opened)
        or (source.cut.start is None and not source.keeps_times)
    ):
        return None
    unit = source.info.time_base
    shift = round(source.shift / unit)
    frames: list[tuple[int, bool]] = []
    cut = source.cut
    is_cut = cut.start is not None or cut.end is not None
    video, _ = open_at(source.opened.path, start)
    with closing(video):
        try:
            for packet in video.container.demux(video.stream):
                if packet.is_discard or not packet.size:
                    continue
                if packet.pts is None or packet.is_corrupt:
                    return None
                if is_cut and packet.dts is not None and cut.after(packet.dts * unit):
                    break
                if not (is_cut and (cut.before(packet.pts * unit) or cut.after(packet.pts * unit))):
                    frames.append((packet.pts - shift, packet.is_keyframe))
        except av.FFmpegError:
            return None
    frames.sort()
    is_known = bool(frames) and frames[0][0] == source.first_pts
    is_strict = all(here[0] < there[0] for here, there in pairwise(frames))
    return frames if is_known and is_strict else None
