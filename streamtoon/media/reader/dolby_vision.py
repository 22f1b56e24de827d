"""Detecting Dolby Vision without a compatible base layer, whose colours would be wrong.

Profile 5, and profiles 10 and 20 without a compatible signal, store frames as IPT-PQ-c2, reshaped by curves
that come with each frame. A decoder outputs them as if they were YUV, in green and violet.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import av
from av.video.stream import VideoStream

from streamtoon.media.packets import add_copy

_CODECS = ("hevc", "av1", "h264")
_BOXES = (b"dvcC", b"dvvC", b"dvwC")
"""Names of the box with the configuration record, by profile."""
_OWN_COLORS = (5, 10, 20)
"""Profiles whose base layer may be decodable only by Dolby's decoders."""


@dataclass(frozen=True, slots=True)
class DolbyVision:
    """The configuration record ("Dolby Vision Streams Within the ISO Base Media File Format")."""

    profile: int
    compatible: int
    """Compatibility of the base layer: 0 none, 1 HDR10, 2 SDR, 4 HLG, 6 Blu-ray disc."""

    @property
    def has_own_colors(self) -> bool:
        """Whether only Dolby's decoders show the right colours."""
        return self.profile in _OWN_COLORS and self.compatible == 0


def dolby_vision(stream: VideoStream) -> DolbyVision | None:
    """Return the record of a stream in any container; None if it has none.

    PyAV does not expose the record. But a copy of the stream carries it, so it is read from the header of an
    MP4.
    """
    if stream.codec_context.codec.canonical_name not in _CODECS:
        return None
    written = io.BytesIO()
    options = {"strict": "unofficial", "movflags": "empty_moov"}  # puts the whole header first
    try:
        with av.open(written, "w", format="mp4", container_options=options) as out:
            add_copy(out, stream)
            out.start_encoding()
    except (av.FFmpegError, ValueError):
        return None
    header = written.getvalue()
    for name in _BOXES:
        at = header.find(name) + len(name)
        if at >= len(name) and len(header) >= at + 5:
            return DolbyVision(header[at + 2] >> 1, header[at + 4] >> 4)
    return None
