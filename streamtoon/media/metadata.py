"""Metadata on its way from one container to another: everything that stays true, nothing that does not."""

from __future__ import annotations

from streamtoon.media.containers import ContainerKind

Tags = dict[str, str]

_WRITTEN_ANEW = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "duration",
    "number_of_frames",
}
"""Facts about the old file, in lower case; the muxer writes its own."""
_STATISTICS = ("bps", "number_of_", "_statistics_")
_MOV_KEYS: dict[str, frozenset[str]] = {
    "mp4": frozenset(
        "title artist album_artist composer album date comment genre copyright description synopsis show "
        "episode_id network keywords lyrics grouping media_type track disc hd_video compilation location "
        "creation_time timecode".split()
    ),
    "mov": frozenset(
        "title artist album date comment genre copyright make model location creation_time timecode".split()
    ),
}
"""Keys that the muxers store in places of their own, which every player reads."""


def container_tags(tags: Tags, kind: ContainerKind) -> Tags:
    """The container's metadata for a file of `kind`."""
    kept = {k: v for k, v in tags.items() if not _is_stale(k)}
    if kind.is_mov:  # Matroska writes in capitals what MP4 knows in small letters
        kept = {(k.lower() if k.lower() in _MOV_KEYS[kind.format] else k): v for k, v in kept.items()}
    return kept


def stream_tags(tags: Tags) -> Tags:
    """A stream's metadata: language, title, handler and what else it says of itself."""
    return {k: v for k, v in tags.items() if not _is_stale(k)}


def needs_free_keys(tags: Tags, kind: ContainerKind) -> bool:
    """True when a MOV or MP4 has to store keys of any name to keep all of `tags`."""
    return kind.is_mov and any(not k.startswith("location") and k not in _MOV_KEYS[kind.format] for k in tags)


def _is_stale(key: str) -> bool:
    low = key.lower()
    return low in _WRITTEN_ANEW or low.startswith(_STATISTICS)
