"""Clips whose frames carry side data, written bit by bit by the standards that define it."""

from __future__ import annotations

import io
import re
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from media_clips import make_clip, scene
from PIL import Image, ImageCms

SIZE = 64, 48
FRAMES = 6


def with_messages(path: Path, messages: list[tuple[int, bytes]], codec: str = "libx264") -> Path:
    """Frame n with SEI message n, a (type, payload) (ITU-T H.264 and H.265, 7.3.2.3)."""
    plain = io.BytesIO()
    with av.open(plain, "w", format="hevc" if codec == "libx265" else "h264") as out:
        options = (
            {"bf": "0"}
            if codec == "libx264"
            else {"x265-params": "log-level=error:bframes=0:repeat-headers=1"}
        )
        video: Any = out.add_stream(codec, rate=25, options=options)
        video.width, video.height = SIZE
        for n in range(len(messages)):
            frame = av.VideoFrame.from_ndarray(scene(*SIZE, n), "rgb24")
            frame.pts = n
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    units = [each for each in re.split(rb"\x00\x00\x00?\x01", plain.getvalue()) if each]
    left, written = list(messages), []
    for unit in units:
        is_frame = unit[0] >> 1 & 63 < 32 if codec == "libx265" else unit[0] & 31 in (1, 5)
        if is_frame:
            kind, payload = left.pop(0)
            head = b"\x4e\x01" if codec == "libx265" else b"\x06"
            written.append(head + _escaped(bytes([kind, len(payload)]) + payload + b"\x80"))
        written.append(unit)
    bare = io.BytesIO(b"".join(b"\0\0\0\1" + unit for unit in written))
    with av.open(bare, "r") as file, av.open(str(path), "w") as out:
        copy = out.add_stream_from_template(file.streams.video[0], opaque=True)
        for n, packet in enumerate(each for each in file.demux() if each.size):
            packet.stream, packet.time_base = copy, Fraction(1, 25)
            packet.pts = packet.dts = n
            packet.duration = 1
            out.mux(packet)
    return path


def _escaped(data: bytes) -> bytes:
    """With what keeps start codes out of it (H.264, 7.4.1)."""
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", data)


CAPTIONS = 4, b"\xb5\x00\x31GA94\x03\x41\xff\xfc\x94\x2c\xff"
"""One pair of EIA-608 bytes (ATSC A/53 Part 4, 6.2.3)."""
MISB = 5, b"MISPmicrosectime" + bytes([0x1F, 1, 2, 255, 3, 4, 255, 5, 6, 255, 7, 8])
"""A time stamp of MISB ST 0604."""


def time_code(hours: int, minutes: int, seconds: int, frames: int) -> tuple[int, bytes]:
    """SEI message 136 (H.265, D.2.27): one full time stamp."""
    bits = "01" + "1" + "0" + "00000" + "1" + "0" + "0"
    bits += f"{frames:09b}{seconds:06b}{minutes:06b}{hours:05b}" + "00000"
    bits += "1"
    bits += "0" * (-len(bits) % 8)
    return 136, int(bits, 2).to_bytes(len(bits) // 8, "big")


def spherical(path: Path) -> Path:
    """An equirectangular MP4: the box sv3d (Google's "Spherical Video V2 RFC")."""
    data = bytearray(make_clip(path, audio=None, pts=[512 * n for n in range(FRAMES)]).read_bytes())
    pose, bounds = _box(b"prhd", bytes(16)), _box(b"equi", bytes(20))
    box = _box(b"sv3d", _box(b"svhd", bytes(4) + b"test\0"), _box(b"proj", pose, bounds))
    start = data.index(b"stsd")
    entry = data.index(b"avc1", start) - 4
    end = entry + struct.unpack_from(">I", data, entry)[0]
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        at = data.index(name, start if name == b"avc1" else 0) - 4
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + len(box))
    data[end:end] = box
    path.write_bytes(data)
    return path


def _box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + name + content


def of_photographs(path: Path, form: str, *, profile: bool) -> Path:
    """A track of Pillow's photographs with a colour profile, or with EXIF that turns them."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_mux_stream("png" if form == "PNG" else "mjpeg", width=SIZE[0], height=SIZE[1])
        for n in range(FRAMES):
            written = io.BytesIO()
            settings: dict[str, Any] = {"subsampling": "4:2:0"} if form == "JPEG" else {}
            if profile:
                made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
                settings["icc_profile"] = made.tobytes()
            else:
                settings["exif"] = exif = Image.Exif()
                exif[0x0112] = 6  # Orientation: to be turned by 90 degrees
            Image.fromarray(np.ascontiguousarray(scene(*SIZE, n))).save(written, form, **settings)
            packet = av.Packet(written.getvalue())
            packet.stream, packet.time_base, packet.duration = video, Fraction(1, 25), 1
            packet.pts = packet.dts = n
            packet.is_keyframe = True
            out.mux(packet)
    return path
