"""Copying metadata between containers: everything that stays true, nothing that does not.

docs/reference/files.md contains TAGS; a test compares the two.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from streamtoon.media.side_data import Decision
from streamtoon.media.writer.containers import ContainerKind

Tags = dict[str, str]

TAGS: Final = (
    Decision(
        ("creation_time", "date", "year", "com.apple.quicktime.creationdate", "com.android.capture.fps"),
        "kept",
        "when and how it was recorded, which a cut does not change",
    ),
    Decision(
        ("timecode",),
        "moved with a cut",
        "of the first frame (SMPTE ST 12-1); left out with a word where it fits no rate",
    ),
    Decision(("location*", "com.apple.quicktime.location*"), "kept", "where it was recorded (ISO 6709)"),
    Decision(
        ("make", "model", "com.apple.quicktime.*", "com.android.*", "reel_name"), "kept", "of the camera"
    ),
    Decision(
        ("title", "artist", "comment", "copyright", "language", "handler_name", "..."),
        "kept",
        "of the work, as is every key that is not named here",
    ),
    Decision(("replaygain_*", "r128_*"), "kept", "sound stays as loud as it is"),
    Decision(("spherical-video",), "kept", "the projection is still that of the frames"),
    Decision(("stereo_mode",), "kept or said", "in Matroska and WebM, as the side data STEREO3D"),
    Decision(("rotate",), "left out", "the display matrix counts, or the frames were turned"),
    Decision(("alpha_mode",), "left out", "no output has transparency: that is said"),
    Decision(
        ("major_brand", "minor_version", "compatible_brands", "vendor_id", "filesize", "variant_bitrate"),
        "left out",
        "of the old file",
    ),
    Decision(
        ("duration*", "bps*", "number_of_*", "_statistics_*", "itunsmpb"),
        "left out",
        "counts and lengths of the old streams, as mkvmerge and others write them",
    ),
    Decision(
        ("encoder*", "encoding_settings", "encoding_tool", "software", "writing_*", "metadatacreator"),
        "left out",
        "of the program that wrote the old file",
    ),
    Decision(
        (
            "width",
            "height",
            "framerate",
            "stereo",
            "hasvideo",
            "hasaudio",
            "hasmetadata",
            "haskeyframes",
            "hascuepoints",
            "canseek*",
            "last*timestamp",
            "lastkeyframe*",
            "video*size",
            "audio*size",
            "datasize",
            "video*rate",
            "audio*rate",
            "*codecid",
        ),
        "left out",
        "of Flash Video's onMetaData: of the old file",
    ),
    Decision(
        (
            "wmfsdk*",
            "isvbr",
            "asfleakybucketpairs",
            "deviceconformancetemplate",
            "averagelevel",
            "peakvalue",
            "wm/encodingtime",
        ),
        "left out",
        "of Windows Media's encoder",
    ),
    Decision(
        (
            "*package_umid",
            "uid",
            "generation_uid",
            "product_uid",
            "product_name",
            "product_version",
            "company_name",
            "operational_pattern_ul",
            "modification_date",
            "toolkit_version*",
            "application_platform",
        ),
        "left out",
        "of MXF's file and its program",
    ),
    Decision(("service_name", "service_provider"), "left out", "of a broadcast's sender"),
)
"""Tags of files and streams by key. The first row that matches a key decides."""

_STEREO = "stereo_mode"
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
"""Keys that the muxers store in standard places, which every player reads."""


def container_tags(tags: Tags, kind: ContainerKind) -> Tags:
    """Return the container's metadata for a file of `kind`."""
    kept = stream_tags(tags, kind)
    if kind.is_mov:  # Matroska uses capitals for keys that MP4 has in lower case
        kept = {(k.lower() if k.lower() in _MOV_KEYS[kind.format] else k): v for k, v in kept.items()}
    return kept


def stream_tags(tags: Tags, kind: ContainerKind) -> Tags:
    """Return a stream's metadata: language, title, handler and others."""
    return {k: v for k, v in tags.items() if _stays(k.lower(), kind)}


def needs_free_keys(tags: Tags, kind: ContainerKind) -> bool:
    """Return whether a MOV or MP4 has to store arbitrary keys to keep all of `tags`."""
    return kind.is_mov and any(not k.startswith("location") and k not in _MOV_KEYS[kind.format] for k in tags)


def decision_of(key: str) -> Decision:
    """Return the row of TAGS for a key in lower case."""
    found = (each for each in TAGS for name in each.names if fnmatchcase(key, name))
    return next(found, next(each for each in TAGS if "..." in each.names))


def _stays(key: str, kind: ContainerKind) -> bool:
    if key == _STEREO:
        return kind.takes_stereo
    return decision_of(key).fate != "left out"
