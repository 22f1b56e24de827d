"""What FFmpeg finds on this machine: video encoders that really open, and cameras."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction

import av
import av.logging
from av.video.codeccontext import VideoCodecContext

from engines.nvidia_driver import has_driver
from streamtoon.media.nvdec import CODECS
from streamtoon.media.nvdec_proof import proven

SOFTWARE = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}
"""Codec -> the encoder in software."""
HARDWARE = ("nvenc", "qsv", "amf", "vaapi", "videotoolbox", "mf", "v4l2m2m")
"""NVIDIA, Intel, AMD, Linux, Apple, Windows, and boards such as the Raspberry Pi."""
_CAMERAS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


@dataclass(frozen=True, slots=True)
class Encoder:
    """One way to write one codec."""

    codec: str
    name: str
    """For `--codec`."""
    hardware: bool
    works: bool
    """Software: it is part of FFmpeg here. Hardware: it was opened."""


@dataclass(frozen=True, slots=True)
class Decoder:
    """One codec that hardware may decode."""

    codec: str
    name: str
    """For `--decoder`."""
    works: bool
    """It was tried, and gives the very pictures that the processor decodes."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera as the system calls it."""

    device: str
    name: str


def encoders() -> list[Encoder]:
    """The encoders that FFmpeg was built with here, the software one of each codec first."""
    found = []
    for codec, software in SOFTWARE.items():
        if software in av.codecs_available:
            found.append(Encoder(codec, software, hardware=False, works=True))
        for kind in HARDWARE:
            name = f"{codec}_{kind}"
            if name in av.codecs_available:
                found.append(Encoder(codec, name, hardware=True, works=_opens(name)))
    return found


def decoders() -> list[Decoder]:
    """What hardware decodes here; tried where there is an NVIDIA driver, which takes seconds."""
    found = proven() if has_driver() else dict.fromkeys(CODECS, False)
    return [Decoder(codec, "nvdec", works) for codec, works in found.items()]


def cameras() -> list[Camera]:
    """The cameras of this machine; none where the system cannot be asked."""
    form = _CAMERAS.get(sys.platform)
    if form is None:
        return []
    try:
        devices = av.enumerate_input_devices(form)
    except (av.FFmpegError, ValueError):
        return []
    return [
        Camera(device.name, device.description)
        for device in devices
        if not device.media_types or "video" in device.media_types
    ]


def _opens(name: str) -> bool:
    """True when the encoder accepts an ordinary picture size: its device is there and the driver agrees."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)  # the answer is all we want, not the driver's story
    try:
        context = VideoCodecContext.create(name, "w")
        formats = context.codec.video_formats or []
        names = [each.name for each in formats]
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = 1280, 720
        context.pix_fmt = next((each for each in ("nv12", "yuv420p", *names) if each in names), "yuv420p")
        context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
        context.open()
    except (av.FFmpegError, ValueError):
        return False
    finally:
        av.logging.set_level(before)
    return True
