"""What was wrong with a video, in sentences."""

from __future__ import annotations

from fractions import Fraction

from av.container import InputContainer

from streamtoon.media.decode import VideoDecoder
from streamtoon.media.probe import MediaInfo
from streamtoon.media.timestamps import Clock, Timeline

_EXACT = ("matroska", "mov")
"""Containers that state their length; what is known of others is guessed from their size."""


def ends_early(info: MediaInfo, container: InputContainer, held: int, end: Fraction | None) -> str | None:
    """How much less a file gave than it declares: `held` pictures, its last packet up to `end` seconds.

    None where all was there. A part of a second may be missing: lengths are rounded.
    """
    if info.frames:
        return f"it declares {info.frames} pictures and holds {held}" if held < info.frames else None
    if not container.format.name.startswith(_EXACT) or not container.duration or end is None:
        return None
    length = float(end) - (container.start_time or 0) / 1_000_000
    whole = container.duration / 1_000_000
    missing = whole - length > max(0.5, whole / 100)
    return f"it declares {whole:.1f} s and holds {length:.1f} s" if missing else None


def sentences(decoder: VideoDecoder, timeline: Timeline, clock: Clock, early: str | None) -> list[str]:
    """All that was survived, for the user; `early` is what `ends_early` gave."""
    said = []
    if places := decoder.damaged + decoder.read_errors:
        said.append(f"The video is damaged in {_count(places, 'place')}: what could be decoded was kept.")
    if decoder.bad_sounds:
        said.append(f"The sound is damaged in {_count(decoder.bad_sounds, 'place')}: it was kept as it is.")
    if early:
        said.append(f"The file ends early: {early}.")
    if timeline.leaps:
        where = _count(timeline.leaps, "place")
        said.append(f"The clock of the file leaps in {where}: pictures and sound were joined there.")
    if clock.mended:
        said.append(f"{_count(clock.mended, 'picture')} had no usable timestamp: it was derived.")
    return said


def _count(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"
