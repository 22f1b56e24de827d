"""Colour metadata: reading a stream's tags, guessing missing ones, and choosing those of the output.

Codes are those of ITU-T H.273. For a stream without a matrix tag, players assume BT.601 below 720 lines and
BT.709 from 720 on. This module does the same, and leaves the output untagged as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from av.video.frame import VideoFrame

from engines.frame import ColorInfo, Matrix

Hdr = Literal["PQ", "HLG"]

UNSPECIFIED = 2
RGB_MATRIX = 0
HD_MIN_LINES = 720
"""Minimum height in lines at which untagged video is taken as BT.709."""

LIMITED, FULL = 1, 2
"""Codes of the range in FFmpeg; 0 is unspecified."""

_MATRICES: dict[int, Matrix] = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020", 10: "bt2020"}
_HDR: dict[int, Hdr] = {16: "PQ", 18: "HLG"}
_KNOWN_MATRICES = frozenset({0, 1, 2, *range(4, 15)})
_KNOWN_PRIMARIES = frozenset({1, 2, *range(4, 13), 22})
_KNOWN_TRANSFERS = frozenset({1, 2, *range(4, 19)})
_SMPTE_240M = 7


@dataclass(frozen=True, slots=True)
class ColorTags:
    """The four colour tags of a video stream, as stored."""

    matrix: int = UNSPECIFIED
    range: int = 0
    """0 unspecified, 1 limited, 2 full."""
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def hdr(self) -> Hdr | None:
        """The HDR transfer function, or None."""
        return _HDR.get(self.transfer)


def read_tags(frame: VideoFrame) -> ColorTags:
    """Return the tags of a decoded frame. Unknown codes count as unspecified."""

    def known(code: int, codes: frozenset[int]) -> int:
        return int(code) if code in codes else UNSPECIFIED

    return ColorTags(
        known(frame.colorspace, _KNOWN_MATRICES),
        int(frame.color_range) if frame.color_range in (LIMITED, FULL) else 0,
        known(frame.color_primaries, _KNOWN_PRIMARIES),
        known(frame.color_trc, _KNOWN_TRANSFERS),
    )


def is_rgb(pixel_format: str) -> bool:
    """Return whether a pixel format is RGB or has a palette, and therefore no matrix."""
    return pixel_format.startswith(
        ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8", "x2", "mono", "xyz")
    )


def is_full_range(pixel_format: str, tags: ColorTags) -> bool:
    """Return whether YUV or grey values span 0..255, by the tag or by the old "yuvj" formats."""
    return tags.range == FULL or pixel_format.startswith("yuvj")


def guess_matrix(height: int) -> Matrix:
    """Return the matrix that players assume for untagged video of `height` lines."""
    return "bt709" if height >= HD_MIN_LINES else "bt601"


def delivered_tags(pixel_format: str, tags: ColorTags) -> ColorTags:
    """Return the tags of frames after conversion to 8-bit YUV 4:2:0. The output gets these tags."""
    if tags.hdr:
        return ColorTags(1, LIMITED, 1, 1)
    if is_rgb(pixel_format):
        # Our conversion to YUV is BT.709, limited range. The source's primaries stay valid.
        return ColorTags(1, LIMITED, tags.primaries, tags.transfer)
    full = is_full_range(pixel_format, tags)
    matrix = tags.matrix if tags.matrix in _MATRICES else UNSPECIFIED
    if tags.matrix == _SMPTE_240M:  # no engine supports this matrix, so the frames are converted
        matrix = 1
    return ColorTags(matrix, FULL if full else tags.range, tags.primaries, tags.transfer)


def source_matrix(tags: ColorTags, height: int) -> str:
    """Return the matrix of a frame's values, by its name in FFmpeg's scale filter."""
    if tags.matrix == _SMPTE_240M:
        return "smpte240m"
    return _MATRICES.get(tags.matrix) or ("bt2020" if tags.hdr else guess_matrix(height))


def color_info(tags: ColorTags, height: int) -> ColorInfo:
    """Return how an engine interprets frames with these (delivered) tags."""
    matrix = _MATRICES.get(tags.matrix) or guess_matrix(height)
    return ColorInfo(matrix, tags.range == FULL, tags.primaries, tags.transfer)
