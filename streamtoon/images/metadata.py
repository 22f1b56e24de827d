"""The metadata of an image file: EXIF, XMP and IPTC, filtered and written to the output."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image, PngImagePlugin

from streamtoon.images import exif, xmp
from streamtoon.images.exif import Entry, Exif

_MAX_JPEG_BYTES = 65_000
"""Maximum bytes of EXIF, XMP or IPTC in JPEG, which stores each in one segment."""
_MAX_TIFF_BYTES = 1 << 30
"""Maximum bytes of a TIFF file that is read again for its EXIF."""
_TIFF_XMP, _TIFF_IPTC = 700, 33723
_PHOTOSHOP_IPTC = 0x0404
_BYTES = 1
RAW_EXIF = "Raw profile type exif"


@dataclass(slots=True)
class Metadata:
    """Filtered metadata: what was photographed, where, when and by whom. Facts about the file are dropped."""

    exif: Exif = field(default_factory=Exif)
    xmp: bytes | None = None
    """As read from the file."""
    iptc: bytes | None = None
    warnings: list[str] = field(default_factory=list)

    def options(self, form: str, width: int, height: int, *, is_whole: bool) -> dict[str, Any]:
        """Return Pillow's save options for this metadata in format `form`, for an image of this size.

        TIFF needs `put_into_tiff` in addition. `warnings` names what does not fit.
        """
        options: dict[str, Any] = {}
        if form not in ("AVIF", "JPEG", "PNG", "WEBP"):
            return options
        fits = _Fitting(form, self.warnings)
        if self.exif and (data := fits("EXIF", self.exif.tobytes(width, height))):
            options["exif"] = data
        packet = self._packet(is_whole=is_whole)
        if packet and (data := fits("XMP", packet)):
            if form == "PNG":
                text = PngImagePlugin.PngInfo()
                text.add_itxt("XML:com.adobe.xmp", data.decode())
                options["pnginfo"] = text
            else:
                options["xmp"] = data
        if self.iptc and form == "JPEG" and (data := fits("IPTC", xmp.as_resource(self.iptc))):
            content = xmp.APP13 + data
            options["extra"] = b"\xff\xed" + (len(content) + 2).to_bytes(2, "big") + content
        return options

    def put_into_tiff(self, path: Path, width: int, height: int, *, is_whole: bool) -> None:
        """Add the metadata to a TIFF file that Pillow has written. Raises OSError."""
        tree: dict[int, Any] = self.exif.directory(width, height) if self.exif else {}
        if packet := self._packet(is_whole=is_whole):
            tree[_TIFF_XMP] = Entry(_BYTES, packet)
        if self.iptc:
            tree[_TIFF_IPTC] = Entry(_BYTES, self.iptc)
        if tree:
            path.write_bytes(exif.with_entries(path.read_bytes(), tree))

    def _packet(self, *, is_whole: bool) -> bytes | None:
        try:
            return xmp.filter_xmp(self.xmp, is_whole=is_whole) if self.xmp else None
        except ValueError:
            return None  # already in warnings


@dataclass(frozen=True, slots=True)
class _Fitting:
    """Returns data that fits into a format, and warns about data that does not."""

    form: str
    warnings: list[str]

    def __call__(self, what: str, data: bytes) -> bytes | None:
        if self.form == "JPEG" and len(data) > _MAX_JPEG_BYTES:
            self.warnings.append(
                f"The {what} data has {len(data)} bytes, too much for JPEG. It was left out."
            )
            return None
        return data


def read_metadata(image: Image.Image, path: Path) -> Metadata:
    """Read the metadata of an image loaded from `path`. `warnings` names what was dropped."""
    raw_exif, iptc = _blocks(image, path)
    found = Metadata(exif.read_exif(raw_exif), iptc=xmp.filter_iptc(iptc))
    if found.exif.odd:
        tags = ", ".join(f"0x{tag:04X}" for tag in sorted(set(found.exif.odd)))
        found.warnings.append(f"{path.name}: EXIF values with an invalid type were left out (tag {tags}).")
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    packet = packet.encode("utf-8", "replace") if isinstance(packet, str) else packet
    if isinstance(packet, bytes) and packet:
        try:
            xmp.filter_xmp(packet)
            found.xmp = packet
        except ValueError:
            found.warnings.append(f"{path.name}: the XMP metadata cannot be read and was left out.")
    return found


def _blocks(image: Image.Image, path: Path) -> tuple[bytes, bytes]:
    """Return the EXIF and IPTC blocks as stored in the file; empty if it has none."""
    if image.format == "TIFF":
        if path.stat().st_size > _MAX_TIFF_BYTES:
            return b"", b""
        data = path.read_bytes()
        return data, exif.tiff_entry(data, _TIFF_IPTC) or b""
    resources = image.info.get("photoshop")
    iptc = resources.get(_PHOTOSHOP_IPTC) if isinstance(resources, dict) else None
    block = image.info.get("exif")
    if block is None and isinstance(raw := image.info.get(RAW_EXIF), str):
        # ImageMagick's format: a line feed, the name, the length, and lines of hexadecimal digits
        try:
            block = bytes.fromhex("".join(raw.split("\n")[3:]))
        except ValueError:
            block = None
    return (block if isinstance(block, bytes) else b""), (iptc if isinstance(iptc, bytes) else b"")
