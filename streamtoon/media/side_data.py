"""Side data of frames and packets, and what happens to each kind.

The kinds are those of FFmpeg: AVFrameSideDataType (libavutil/frame.h) and AVPacketSideDataType
(libavcodec/packet.h). docs/reference/files.md contains this list; a test compares the two, and the kinds that
PyAV knows.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

Fate = Literal["kept", "moved with a cut", "kept or said", "left out, said", "left out"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What happens to some kinds of side data or some tags."""

    names: tuple[str, ...]
    """Names in FFmpeg: capitals for frames, lower case for packets. Tag keys are in lower case; `*` matches
    any ending."""
    fate: Fate
    why: str
    said: str = ""
    """The warning for the user."""


FRAMES: Final = (
    Decision(
        ("DISPLAYMATRIX",),
        "kept",
        "the display matrix of the output; where the container has none, the frames are turned",
    ),
    Decision(("S12M_TIMECODE",), "kept or said", "becomes the time code of MP4, QuickTime and Matroska"),
    Decision(
        ("A53_CC",),
        "left out, said",
        "encoders write no captions",
        "The video has closed captions in its frames (EIA-608/708). They are left out.",
    ),
    Decision(
        ("STEREO3D",),
        "kept or said",
        "the drawing has both views where the frame has; only Matroska and WebM are given the mark of it",
    ),
    Decision(
        ("VIEW_ID", "3D_REFERENCE_DISPLAYS"),
        "left out, said",
        "only the base view is decoded",
        "The video has more than one view. Only the first is used.",
    ),
    Decision(
        ("SPHERICAL",),
        "left out, said",
        "the projection is still that of the frames, but nothing here writes the mark",
        "The video is spherical (360 degrees). The output lacks that metadata; add it with another tool.",
    ),
    Decision(
        ("ICC_PROFILE",),
        "left out, said",
        "videos have tags of colour in its place",
        "The frames have a colour profile (ICC), which is not applied.",
    ),
    Decision(
        ("LCEVC",),
        "left out, said",
        "no decoder here adds it",
        "The video has an enhancement layer (LCEVC). Only the base layer is used.",
    ),
    Decision(
        (
            "MASTERING_DISPLAY_METADATA",
            "CONTENT_LIGHT_LEVEL",
            "DYNAMIC_HDR_PLUS",
            "DYNAMIC_HDR_VIVID",
            "AMBIENT_VIEWING_ENVIRONMENT",
        ),
        "left out",
        "of HDR, which becomes standard range: that is said",
    ),
    Decision(
        ("DOVI_RPU_BUFFER", "DOVI_METADATA"),
        "left out",
        "the base layer is drawn; a profile without one for others is refused",
    ),
    Decision(("FILM_GRAIN_PARAMS",), "left out", "the decoder has laid the grain over the frame"),
    Decision(("PANSCAN", "AFD"), "left out", "for old television sets; players of files do not follow them"),
    Decision(("GOP_TIMECODE",), "left out", "counts from the start in nearly all of MPEG-2"),
    Decision(("EXIF",), "left out", "of a photograph, whose orientation the display matrix has"),
    Decision(
        ("SEI_UNREGISTERED",),
        "left out, said",
        "the encoder's own settings go quietly; MISB's time stamps (ST 0604, drones) are said",
        "The frames have recording time stamps (MISB ST 0604). They are left out.",
    ),
    Decision(
        ("MOTION_VECTORS", "VIDEO_ENC_PARAMS", "REGIONS_OF_INTEREST", "DETECTION_BBOXES", "VIDEO_HINT"),
        "left out",
        "of the old encoding",
    ),
    Decision(
        ("MATRIXENCODING", "DOWNMIX_INFO", "REPLAYGAIN", "SKIP_SAMPLES", "AUDIO_SERVICE_TYPE"),
        "kept",
        "of sound: inside its packets and tags where these are copied",
    ),
)
"""Side data of decoded frames."""

PACKETS: Final = (
    Decision(
        (
            "replay_gain",
            "audio_service_type",
            "skip_samples",
            "jp_dual_mono",
            "strings_metadata",
            "subtitle_position",
            "matroska_block_additional",
            "webvtt_identifier",
            "webvtt_settings",
            "metadata_update",
            "mpegts_stream_id",
            "iamf_mix_gain_param",
            "iamf_info_param",
            "iamf_recon_gain_info_param",
        ),
        "kept",
        "with packets that are copied, as far as the container has a place",
    ),
    Decision(("new_extradata", "param_change", "palette"), "kept", "the decoder and the muxer follow them"),
    Decision(("display_matrix", "s12m_timecode"), "kept", "as those of frames"),
    Decision(
        ("stereo_3d", "spherical", "a53_cc", "icc_profile", "lcevc", "3d_reference_displays"),
        "left out, said",
        "as those of frames",
    ),
    Decision(
        (
            "mastering_display_metadata",
            "content_light_level",
            "dynamic_hdr10_plus",
            "ambient_viewing_environment",
            "dovi_conf",
            "afd",
        ),
        "left out",
        "as those of frames",
    ),
    Decision(
        ("frame_cropping",),
        "left out",
        "the whole frame is drawn: FFmpeg tells of no crop that only the container asks for (`clap`)",
    ),
    Decision(("prft", "rtcp_sr"), "left out", "the sender's clock, which tells of its transmission"),
    Decision(
        ("h263_mb_info", "quality_stats", "fallback_track", "cpb_properties"),
        "left out",
        "of the old encoding; the new one has its own",
    ),
    Decision(("encryption_init_info", "encryption_info"), "left out", "what is encrypted cannot be read"),
)
"""Side data of packets and streams."""

_LATER: Final = {28: "LCEVC", 29: "VIEW_ID", 30: "3D_REFERENCE_DISPLAYS", 31: "EXIF"}
"""Kinds of FFmpeg 8 that PyAV 18 does not name."""
_STEREO: Final = {
    1: ("left_right", "right_left"),
    2: ("top_bottom", "bottom_top"),
    3: ("block_lr", "block_rl"),
    4: ("checkerboard_lr", "checkerboard_rl"),
    6: ("row_interleaved_lr", "row_interleaved_rl"),
    7: ("col_interleaved_lr", "col_interleaved_rl"),
}
"""AVStereo3D types, each with the left view first and with the right view first."""
_UNREADABLE: Final = ("png", "apng")
"""Codecs with named side data (ICC profiles) that PyAV 18 frees twice. Accessing it crashes the process."""
_SAID: Final = {name: each.said for each in FRAMES if each.said for name in each.names}


def _unnamed(cls: type[Type], value: object) -> Type:
    """Return a member for a kind that PyAV does not name. Without it, PyAV hides all side data of a frame."""
    number = value if isinstance(value, int) else -1
    member: Any = object.__new__(cls)
    member._name_, member._value_ = _LATER.get(number, f"UNKNOWN_{number}"), number
    return cast(Type, member)


Type._missing_ = classmethod(_unnamed)  # type: ignore[assignment,method-assign]


def side_data(frame: VideoFrame, codec: str) -> list[tuple[str, Any]]:
    """Return the side data of a frame decoded by `codec`, by FFmpeg's names."""
    if codec in _UNREADABLE:
        return []
    found: Any = frame.side_data  # PyAV's stub says dict, but it is a sequence of buffers
    return [(data.type.name, data) for data in found]


def stereo_mode(frame: VideoFrame, codec: str) -> str | None:
    """Return how two views share a frame, by Matroska's names (RFC 9559, 5.1.4.1.28.3).

    "other" means a layout without such a name; None means a single view.
    """
    for name, data in side_data(frame, codec):
        if name == "STEREO3D":
            layout, flags = struct.unpack("=ii", bytes(data)[:8])
            return _STEREO.get(layout, ("other", "other"))[flags & 1] if layout else None
    return None


def dropped_data_warnings(frame: VideoFrame, codec: str) -> list[str]:
    """Return warnings about the frame's side data that is dropped."""
    return [
        _SAID[name]
        for name, data in side_data(frame, codec)
        if name in _SAID and _means_something(name, data)
    ]


def _means_something(name: str, data: Any) -> bool:
    if name == "SEI_UNREGISTERED":
        return bytes(data)[:4] == b"MISP"
    return True
