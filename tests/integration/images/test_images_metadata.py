"""What a result says of itself: the photograph's words stay, the photograph's file does not shine through."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from streamtoon.images import convert as images

SECRETS = (b"PREVIEWPREVIEW", b"MAKERNOTES", b"Firmware 7", b"0123456789abcdef", b"uuid:of-the-original")
"""What lies in the photograph's file and must not lie in the result's."""
XMP = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"
  xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4" xmp:CreatorTool="Firmware 7"
  xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" GPano:ProjectionType="equirectangular"
  xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/" xmpMM:DocumentID="uuid:of-the-original">
 <dc:title xmlns:dc="http://purl.org/dc/elements/1.1/"><rdf:Alt><rdf:li xml:lang="x-default">The lake</rdf:li>
 </rdf:Alt></dc:title>
 <xmpMM:History><rdf:Seq><rdf:li>PREVIEWPREVIEW</rdf:li></rdf:Seq></xmpMM:History>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def directory(at: int, entries: list[tuple[int, int, int, bytes]], following: int = 0) -> bytes:
    """Tag, type, count and value of each, big-endian as most cameras write."""
    behind, free = b"", at + 2 + 12 * len(entries) + 4
    said = b""
    for tag, kind, count, value in sorted(entries):
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(">I", free + len(behind))
        behind += b"" if len(value) <= 4 else value + b"\0" * (len(value) % 2)
        said += struct.pack(">HHI", tag, kind, count) + place
    return struct.pack(">H", len(entries)) + said + struct.pack(">I", following) + behind


def text(tag: int, value: bytes) -> tuple[int, int, int, bytes]:
    return tag, 2, len(value) + 1, value + b"\0"


def exif(width: int, height: int) -> bytes:
    """With all that a camera writes: a preview in a second directory, maker notes, sizes, a place."""
    photo = [
        text(0x9003, b"2020:01:02 03:04:05"),
        (0x829A, 5, 1, struct.pack(">II", 1, 100)),
        (0x927C, 7, 10, b"MAKERNOTES"),
        (0xA002, 4, 1, struct.pack(">I", width)),
        (0xA003, 4, 1, struct.pack(">I", height)),
        text(0xA420, b"0123456789abcdef"),
    ]
    place = [text(1, b"N"), (2, 5, 3, struct.pack(">6I", 48, 1, 30, 1, 0, 1))]
    preview = [(0x0201, 4, 1, struct.pack(">I", 3000)), (0x0202, 4, 1, struct.pack(">I", 14))]
    main = [
        (0x0112, 3, 1, struct.pack(">H", 6)),
        text(0x010F, b"Maker"),
        text(0x013B, b"Zo\xc3\xab"),
        text(0x0131, b"Firmware 7"),
        (0x8769, 4, 1, struct.pack(">I", 1000)),
        (0x8825, 4, 1, struct.pack(">I", 2000)),
    ]
    data = b"MM\0*" + struct.pack(">I", 8) + directory(8, main, following=2500)
    for at, entries in ((1000, photo), (2000, place), (2500, preview)):
        data = data.ljust(at, b"\0") + directory(at, entries)
    return b"Exif\0\0" + data.ljust(3000, b"\0") + b"PREVIEWPREVIEW"


def app13(*datasets: tuple[int, int, bytes]) -> bytes:
    iptc = b"".join(struct.pack(">BBBH", 0x1C, a, b, len(value)) + value for a, b, value in datasets)
    block = b"8BIM" + struct.pack(">HHI", 0x0404, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    content = b"Photoshop 3.0\0" + block
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """48 x 32 as it is stored, to be turned upright."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    iptc = app13(
        (1, 90, b"\x1b%G"), (2, 105, b"Lake at dawn"), (2, 202, b"PREVIEWPREVIEW"), (8, 10, b"MAKERNOTES")
    )
    path = tmp_path / "in.jpg"
    Image.fromarray(pixels).save(path, exif=exif(48, 32), xmp=XMP, extra=iptc, comment=b"Firmware 7")
    data = path.read_bytes()
    assert all(secret in data for secret in SECRETS)
    return path


def convert(source: Path, target: Path, **options: bool) -> list[str]:
    return images.convert(lambda rgb: rgb, source, target, overwrite=False, **options)[2]


def witness(path: Path) -> dict[str, Any]:
    """What exiftool says of a file, group and name of each tag."""
    program = shutil.which("exiftool")
    if program is None:
        pytest.skip("exiftool is not installed (libimage-exiftool-perl)")
    done = subprocess.run([program, "-j", "-a", "-G1", "-n", str(path)], capture_output=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)[0]
    return said


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tif", "bmp", "gif"])
def test_nothing_of_the_file_stays_inside(photo: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out.{suffix}"
    assert convert(photo, target) == []
    data = target.read_bytes()
    assert [secret for secret in SECRETS if secret in data] == []


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tif"])
def test_the_words_on_the_photograph_stay(photo: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"out.{suffix}"
    convert(photo, target)
    with Image.open(target) as image:
        image.load()
        found = image.getexif()
        assert image.size == (32, 48)
        assert (found[0x010F], found.get(0x0112, 1)) == ("Maker", 1)
        inner = found.get_ifd(0x8769)
        assert inner[0x9003] == "2020:01:02 03:04:05"
        assert (inner[0xA002], inner[0xA003]) == (32, 48)
        assert float(inner[0x829A]) == 0.01
        assert [float(value) for value in found.get_ifd(0x8825)[2]] == [48, 30, 0]
        packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
        assert packet is not None
        assert b"The lake" in (packet.encode() if isinstance(packet, str) else packet)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tif"])
def test_exiftool_reads_the_same(photo: Path, tmp_path: Path, suffix: str) -> None:
    convert(photo, tmp_path / f"out.{suffix}")
    said = witness(tmp_path / f"out.{suffix}")
    assert (said["IFD0:Make"], said["IFD0:Artist"]) == ("Maker", "Zoë")
    assert (said["ExifIFD:ExifImageWidth"], said["ExifIFD:ExifImageHeight"]) == (32, 48)
    assert said["GPS:GPSLatitude"] == 48.5
    assert (said["XMP-dc:Title"], said["XMP-xmp:Rating"]) == ("The lake", 4)
    assert said["XMP-GPano:ProjectionType"] == "equirectangular"
    assert said.get("IPTC:Headline") == ("Lake at dawn" if suffix in ("jpg", "tif") else None)
    gone = (
        "Thumb",
        "Preview",
        "Maker",
        "Software",
        "UniqueID",
        "XMP-xmpMM",
        "Orientation",
        "Warning",
        "Error",
    )
    assert [tag for tag in said if any(word in tag.partition(":")[2] or word in tag for word in gone)] == []


def test_what_a_tiff_says_goes_through_a_tiff(photo: Path, tmp_path: Path) -> None:
    convert(photo, tmp_path / "one.tif")
    convert(tmp_path / "one.tif", tmp_path / "two.tif")
    with Image.open(tmp_path / "one.tif") as one, Image.open(tmp_path / "two.tif") as two:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))
    before, after = (witness(tmp_path / name) for name in ("one.tif", "two.tif"))
    for group in ("ExifIFD", "GPS", "XMP", "IPTC"):
        kept = {tag: value for tag, value in before.items() if tag.startswith(group)}
        assert kept
        assert kept.items() <= after.items()


def test_beside_its_source_a_panorama_is_none(photo: Path, tmp_path: Path) -> None:
    convert(photo, tmp_path / "out.jpg", side_by_side=True)
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.size == (64, 48)
        assert b"The lake" in image.info["xmp"] and b"equirectangular" not in image.info["xmp"]


# --- what is odd ---------------------------------------------------------------------------------------


def test_values_of_a_wrong_kind_are_left_out_and_said(tmp_path: Path) -> None:
    entries = [
        (0x0112, 3, 1, struct.pack(">H", 6)),
        text(0x0213, b"1"),  # a short, kept as text
        (0x010F, 5, 1, struct.pack(">II", 1, 2)),  # a text, kept as a fraction
        text(0x013B, b"me"),
    ]
    block = b"Exif\0\0MM\0*" + struct.pack(">I", 8) + directory(8, entries)
    Image.new("RGB", (36, 24)).save(tmp_path / "in.jpg", exif=block)
    said = convert(tmp_path / "in.jpg", tmp_path / "out.jpg")
    assert len(said) == 1 and "0x010F, 0x0213" in said[0]
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.size == (24, 36)
        assert dict(image.getexif()) == {0x013B: "me"}


@pytest.mark.parametrize("packed", [True, False])
def test_a_png_with_much_text_is_read(tmp_path: Path, packed: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 36, 3), np.uint8)
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "node " * 250_000, zip=packed)
    info.add_itxt("prompt", "a lake " * 200_000, zip=packed)
    Image.fromarray(pixels).save(tmp_path / "in.png", pnginfo=info)
    said = convert(tmp_path / "in.png", tmp_path / "out.png")
    assert len(said) == 1 and "workflow, prompt" in said[0]
    with Image.open(tmp_path / "out.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
        assert image.info == {}


def test_a_large_profile_is_kept_and_a_broken_one_is_not(tmp_path: Path) -> None:
    large = b"\0" * 16 + b"RGB " + bytes(3_000_000)
    Image.new("RGB", (36, 24)).save(tmp_path / "in.png", icc_profile=large)
    assert convert(tmp_path / "in.png", tmp_path / "out.jpg") == []
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.info["icc_profile"] == large
    data = (tmp_path / "in.png").read_bytes()
    at = data.index(b"iCCP")
    broken = bytearray(data)
    broken[at + 20 : at + 40] = b"\xff" * 20
    (tmp_path / "broken.png").write_bytes(broken)
    said = convert(tmp_path / "broken.png", tmp_path / "out.png")
    assert len(said) == 1 and "colour profile" in said[0]


@pytest.mark.parametrize(
    "packet",
    [
        b"<not xml",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
        b"<a>" * 50_000 + b"</a>" * 50_000,
    ],
)
def test_xmp_that_is_none_is_left_out_or_empty(tmp_path: Path, packet: bytes) -> None:
    Image.new("RGB", (36, 24)).save(tmp_path / "in.webp", xmp=packet)
    convert(tmp_path / "in.webp", tmp_path / "out.webp")
    with Image.open(tmp_path / "out.webp") as image:
        assert "xmp" not in image.info
