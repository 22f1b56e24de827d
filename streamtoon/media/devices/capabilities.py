"""The hardware that FFmpeg finds: video encoders that actually open, and cameras."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from fractions import Fraction

import av
import av.logging
from av.video.codeccontext import VideoCodecContext

from engines.common.nvidia import has_driver
from streamtoon.media.reader.nvdec import CODECS
from streamtoon.media.reader.nvdec_selftest import verified_codecs

SOFTWARE = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1", "vp9": "libvpx-vp9"}
"""Software encoder by codec."""
HARDWARE = ("nvenc", "qsv", "amf", "vaapi", "videotoolbox", "mf", "v4l2m2m")
"""Suffixes for NVIDIA, Intel, AMD, Linux, Apple, Windows, and boards such as the Raspberry Pi."""
_CAMERAS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """One encoder of one codec."""

    codec: str
    name: str
    """The value for `--codec`."""
    hardware: bool
    works: bool
    """For software, whether FFmpeg includes it. For hardware, whether it opened."""


@dataclass(frozen=True, slots=True)
class DecoderInfo:
    """One codec that hardware may decode."""

    codec: str
    name: str
    """The value for `--decoder`."""
    works: bool
    """Whether a test showed that it decodes bit-identically to the CPU."""


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A camera by the system's names."""

    device: str
    name: str


def encoders() -> list[EncoderInfo]:
    """Return the encoders in this FFmpeg, the software encoder of each codec first."""
    found = []
    for codec, software in SOFTWARE.items():
        if software in av.codecs_available:
            found.append(EncoderInfo(codec, software, hardware=False, works=True))
        for kind in HARDWARE:
            name = f"{codec}_{kind}"
            if name in av.codecs_available:
                found.append(EncoderInfo(codec, name, hardware=True, works=_can_open(name)))
    return found


def decoders() -> list[DecoderInfo]:
    """Return the hardware decoders. With an NVIDIA driver, testing them takes seconds."""
    found = verified_codecs() if has_driver() else dict.fromkeys(CODECS, False)
    return [DecoderInfo(codec, "nvdec", works) for codec, works in found.items()]


def cameras() -> list[CameraInfo]:
    """Return the cameras of this machine; none if they cannot be listed."""
    form = _CAMERAS.get(sys.platform)
    if form is None:
        return []
    try:
        devices = av.enumerate_input_devices(form)
    except (av.FFmpegError, ValueError):
        return []
    return [
        CameraInfo(device.name, device.description)
        for device in devices
        if not device.media_types or "video" in device.media_types
    ]


def _can_open(name: str) -> bool:
    """Return whether an encoder opens at an ordinary frame size, so that its device and driver work."""
    before = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)  # only the answer matters, not the driver's messages
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
