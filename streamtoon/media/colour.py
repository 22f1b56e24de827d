"""Colour facts: how a stream's tags are read, what is guessed where they are silent, what is written.

Codes are those of ITU-T H.273. Where a stream does not say its matrix, players take BT.601 for pictures
of fewer than 720 lines and BT.709 above; so do we, and the output stays as silent as the source was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from av.video.frame import VideoFrame

from engines.picture import Colour, Matrix

Hdr = Literal["PQ", "HLG"]

UNSPECIFIED = 2
RGB_MATRIX = 0
HD_LINES = 720
"""Pictures with at least this many lines are taken for BT.709 where nothing is said."""

LIMITED, FULL = 1, 2
"""Code values of the range as FFmpeg counts them (0 is unspecified)."""

_MATRICES: dict[int, Matrix] = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020", 10: "bt2020"}
_HDR: dict[int, Hdr] = {16: "PQ", 18: "HLG"}
_KNOWN_MATRICES = frozenset({0, 1, 2, *range(4, 15)})
_KNOWN_PRIMARIES = frozenset({1, 2, *range(4, 13), 22})
_KNOWN_TRANSFERS = frozenset({1, 2, *range(4, 19)})
_SMPTE_240M = 7


@dataclass(frozen=True, slots=True)
class ColourTags:
    """The four tags of a video stream, as written in it."""

    matrix: int = UNSPECIFIED
    range: int = 0
    """0 unspecified, 1 limited, 2 full."""
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @property
    def hdr(self) -> Hdr | None:
        """The high-dynamic-range transfer, where there is one."""
        return _HDR.get(self.transfer)


def read_tags(frame: VideoFrame) -> ColourTags:
    """The tags of a decoded frame; codes that no standard knows count as unspecified."""

    def known(code: int, codes: frozenset[int]) -> int:
        return int(code) if code in codes else UNSPECIFIED

    return ColourTags(
        known(frame.colorspace, _KNOWN_MATRICES),
        int(frame.color_range) if frame.color_range in (LIMITED, FULL) else 0,
        known(frame.color_primaries, _KNOWN_PRIMARIES),
        known(frame.color_trc, _KNOWN_TRANSFERS),
    )


def is_rgb(pixel_format: str) -> bool:
    """True for RGB and palette formats, which have no matrix of their own."""
    return pixel_format.startswith(
        ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8", "x2", "mono", "xyz")
    )


def is_full_range(pixel_format: str, tags: ColourTags) -> bool:
    """True when YUV or grey code values span 0..255: said by the tag, or by the old "yuvj" formats."""
    return tags.range == FULL or pixel_format.startswith("yuvj")


def guess_matrix(height: int) -> Matrix:
    """What players assume for pictures of `height` lines that carry no tag."""
    return "bt709" if height >= HD_LINES else "bt601"


def delivered_tags(pixel_format: str, tags: ColourTags) -> ColourTags:
    """The tags that the pictures have once they are 8-bit YUV 4:2:0, and that the output shall carry."""
    if tags.hdr:
        return ColourTags(1, LIMITED, 1, 1)
    if is_rgb(pixel_format):
        # The conversion to YUV is ours: BT.709, limited. What the source said of its primaries stays true.
        return ColourTags(1, LIMITED, tags.primaries, tags.transfer)
    full = is_full_range(pixel_format, tags)
    matrix = tags.matrix if tags.matrix in _MATRICES else UNSPECIFIED
    if tags.matrix == _SMPTE_240M:  # no engine knows this one: its pictures are converted
        matrix = 1
    return ColourTags(matrix, FULL if full else tags.range, tags.primaries, tags.transfer)


def source_matrix(tags: ColourTags, height: int) -> str:
    """The matrix that a frame's code values are in, by the name that FFmpeg's scale filter has for it."""
    if tags.matrix == _SMPTE_240M:
        return "smpte240m"
    return _MATRICES.get(tags.matrix) or ("bt2020" if tags.hdr else guess_matrix(height))


def as_colour(tags: ColourTags, height: int) -> Colour:
    """How an engine shall read pictures with these (delivered) tags."""
    matrix = _MATRICES.get(tags.matrix) or guess_matrix(height)
    return Colour(matrix, tags.range == FULL, tags.primaries, tags.transfer)
