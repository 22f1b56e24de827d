"""The allowlist of container formats: only those that hold their own frames, none that refers to other files.

A demuxer that is not listed is never run, whatever the bytes or the name of the file suggest.
"""

from __future__ import annotations

from typing import Final

FORMATS: Final[dict[str, str]] = {
    # FFmpeg's name: where such files come from
    "mov": (
        "MP4, QuickTime, 3GP: phones, cameras, shops; references to other files are not followed (the "
        "default)"
    ),
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
    "yuv4mpegpipe": "uncompressed frames between tools (Y4M)",
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
    "image2": "a single image; the option below disables image sequences",
    "bmp_pipe": "a single image",
    "j2k_pipe": "a single image",
    "jpeg_pipe": "a single image",
    "jpegxl_pipe": "a single image",
    "png_pipe": "a single image",
    "ppm_pipe": "a single image",
    "tiff_pipe": "a single image",
    "webp_pipe": "a single image",
    # Audio only. Listed so that the error message can say what the file is.
    "aac": "audio",
    "flac": "audio",
    "mp3": "audio",
    "wav": "audio",
}

PROTOCOLS: Final = "file"
"""Protocols that libavformat may use: only the given file. Pipes are read by our own code."""

SIGNATURES: Final = (
    b"\x1a\x45\xdf\xa3",  # Matroska and WebM
    b"RIFF",  # AVI
    b"OggS",
    b"FLV\x01",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # Windows Media
    b"\x00\x00\x01\xba",  # MPEG program stream
    b"\x06\x0e\x2b\x34",  # MXF
    b"\x89PNG",
    b"GIF8",
)
"""How files begin that are supported if they are intact."""

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
"""How files begin that only refer to other files."""


def options() -> dict[str, str]:
    """Return the options for avformat_open_input."""
    return {
        "format_whitelist": ",".join(FORMATS),
        "protocol_whitelist": PROTOCOLS,
        "pattern_type": "none",  # in image2, a % in a file name is then literal
    }
