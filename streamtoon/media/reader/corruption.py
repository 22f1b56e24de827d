"""Warnings about damage in a video."""

from __future__ import annotations

from fractions import Fraction

from av.container import InputContainer

from streamtoon.media.reader.decoder import VideoDecoder
from streamtoon.media.reader.probe import MediaInfo
from streamtoon.media.reader.timestamps import Clock, Timeline

_EXACT = ("matroska", "mov")
"""Containers that state their duration. For others, FFmpeg estimates it from the file size."""


def ends_early(info: MediaInfo, container: InputContainer, held: int, end: Fraction | None) -> str | None:
    """Describe how much less a file contains than it declares; None if it is complete.

    `held` is the number of video packets read, and `end` the end of the last packet in seconds. A fraction of
    a second may be missing, because durations are rounded.
    """
    if info.frames:
        return f"it declares {info.frames} frames but contains {held}" if held < info.frames else None
    if not container.format.name.startswith(_EXACT) or not container.duration or end is None:
        return None
    length = float(end) - (container.start_time or 0) / 1_000_000
    whole = container.duration / 1_000_000
    missing = whole - length > max(0.5, whole / 100)
    return f"it declares {whole:.1f} s but contains {length:.1f} s" if missing else None


def sentences(decoder: VideoDecoder, timeline: Timeline, clock: Clock, early: str | None) -> list[str]:
    """Return a warning for each kind of damage. `early` is the result of `ends_early`."""
    said = []
    if places := decoder.damaged + decoder.read_errors:
        said.append(
            f"The video is damaged in {_count(places, 'place')}: everything that could be decoded was kept."
        )
    if decoder.bad_audio_packets:
        said.append(
            f"The audio is damaged in {_count(decoder.bad_audio_packets, 'place')}: it was copied unchanged."
        )
    if early:
        said.append(f"The file ends early: {early}.")
    if timeline.resets:
        where = _count(timeline.resets, "place")
        said.append(f"The timestamps jump in {where}: video and audio were joined there.")
    if clock.estimated:
        said.append(f"{_count(clock.estimated, 'frame')} had no usable timestamp: it was estimated.")
    return said


def _count(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
