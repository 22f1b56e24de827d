"""Image formats that can be read and written, by Pillow's names and by file suffixes."""

from __future__ import annotations

READ: dict[str, str] = {
    "AVIF": ".avif .avifs",
    "BMP": ".bmp .dib",
    "DDS": ".dds",
    "GIF": ".gif",
    "HEIF": ".heic .heics .heif .heifs .hif",
    "ICNS": ".icns",
    "ICO": ".ico",
    "JPEG": ".jfif .jpe .jpeg .jpg .mpo",
    "JPEG2000": ".j2c .j2k .jp2 .jpc .jpf .jpx",
    "PCX": ".pcx",
    "PNG": ".apng .png",
    "PPM": ".pbm .pfm .pgm .pnm .ppm",
    "PSD": ".psd",
    "QOI": ".qoi",
    "SGI": ".bw .rgb .rgba .sgi",
    "TGA": ".icb .tga .vda .vst",
    "TIFF": ".tif .tiff",
    "WEBP": ".webp",
}
"""Formats that are read (MPO is a JPEG). Only pure image formats: Pillow's EPS would start Ghostscript."""
READ_SUFFIXES = frozenset(suffix for suffixes in READ.values() for suffix in suffixes.split())
"""Files with these suffixes count as images in a folder. A file given by name may have any name."""

FORMATS = {
    ".apng": "PNG",
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".jfif": "JPEG",
    ".jpe": "JPEG",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
"""Formats that can be written, by suffix."""
FALLBACK_SUFFIX = ".png"
"""Suffix appended to the name of a result if its source's suffix cannot be written."""
