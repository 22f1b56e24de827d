"""What libavformat may read: kinds of files that hold their own pictures, never one that names others.

A demuxer that is not listed is not run, whatever the bytes or the file's name ask for.
"""

from __future__ import annotations

from typing import Final

FORMATS: Final[dict[str, str]] = {
    # FFmpeg's name: whose files these are.
    "mov": "MP4, QuickTime, 3GP: phones, cameras, shops; references to other files stay unread (the default)",
    "matroska": "Matroska and WebM",
    "mpegts": "transport streams: broadcasts, AVCHD cameras, Blu-ray",
    "mpeg": "program streams: DVD, early cameras",
    "avi": "AVI",
    "flv": "Flash Video: recorded streams",
    "asf": "Windows Media",
    "wtv": "recordings of Windows Media Center",
    "ogg": "Ogg",
    "mxf": "MXF: studios and broadcast cameras",
    "gxf": "GXF: broadcast servers",
    "rm": "RealMedia: archives",
    "dv": "DV tape",
    "nut": "FFmpeg's own container",
    "ivf": "bare VP8, VP9 and AV1 with times",
    "yuv4mpegpipe": "uncompressed pictures between tools (Y4M)",
    "h261": "bare H.261",
    "h263": "bare H.263",
    "h264": "bare H.264",
    "hevc": "bare H.265",
    "vvc": "bare H.266",
    "obu": "bare AV1",
    "av1": "bare AV1, Annex B",
    "m4v": "bare MPEG-4 Part 2",
    "mpegvideo": "bare MPEG-1 and MPEG-2",
    "mjpeg": "bare Motion JPEG",
    "vc1": "bare VC-1",
    "dirac": "bare Dirac",
    "dnxhd": "bare DNxHD",
    "gif": "animated GIF",
    "apng": "animated PNG",
    "jpegxl_anim": "animated JPEG XL",
    "image2": "one photo; the sequences that it also reads are switched off by an option",
    "bmp_pipe": "one picture",
    "j2k_pipe": "one picture",
    "jpeg_pipe": "one picture",
    "jpegxl_pipe": "one picture",
    "png_pipe": "one picture",
    "ppm_pipe": "one picture",
    "tiff_pipe": "one picture",
    "webp_pipe": "one picture",
    # Without pictures of their own; known, so that a person is told what the file is.
    "aac": "sound",
    "flac": "sound",
    "mp3": "sound",
    "wav": "sound",
}

PROTOCOLS: Final = "file"
"""What libavformat may open: the one file that it is given. Pipes are read by us."""

PLAYLISTS: Final = (
    b"#EXTM3U",
    b"ffconcat",
    b"[playlist]",
    b"<?xml",
    b"<MPD",
    b"<ASX",
    b"<smil",
    b"v=0\n",
    b"v=0\r",
)
"""How files begin that only name other files."""


def options() -> dict[str, str]:
    """For avformat_open_input."""
    return {
        "format_whitelist": ",".join(FORMATS),
        "protocol_whitelist": PROTOCOLS,
        "pattern_type": "none",  # image2: a % in a name is a %
    }
