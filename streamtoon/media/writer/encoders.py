"""Choosing the video encoder and its settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
from av.codec import Codec
from av.codec.context import CodecContext
from av.container import OutputContainer
from av.video.stream import VideoStream

from streamtoon.errors import OutputError
from streamtoon.media.writer.containers import ContainerKind

_ENCODERS: dict[str, tuple[str, ...]] = {
    "h264": ("libx264", "libopenh264", "h264_nvenc", "h264_qsv", "h264_videotoolbox"),
    "hevc": ("libx265", "hevc_nvenc", "hevc_qsv", "hevc_videotoolbox"),
    "av1": ("libsvtav1", "libaom-av1", "av1_nvenc"),
    "vp9": ("libvpx-vp9",),
    "vp8": ("libvpx",),
    "mpeg4": ("mpeg4",),
    "prores": ("prores_ks",),
    "ffv1": ("ffv1",),
    "gif": ("gif",),
}
"""Common names, and the encoders for each in order of preference."""
_ALIASES = {"h265": "hevc", "avc": "h264", "x264": "h264", "x265": "hevc", "h.264": "h264", "h.265": "hevc"}

_X26X = "ultrafast superfast veryfast faster fast medium slow slower veryslow placebo".split()
_PRESETS: dict[str, list[str]] = {
    "libx264": _X26X,
    "libx265": _X26X,
    "libsvtav1": [str(n) for n in range(14)],
    "libvpx-vp9": [str(n) for n in range(9)],
    "libvpx": [str(n) for n in range(17)],
}
NVENC = "_nvenc"
"""Suffix of NVIDIA's encoders: h264_nvenc, hevc_nvenc, av1_nvenc."""
_CRF = {"libx264": 19, "libx265": 20, "libsvtav1": 26, "libvpx-vp9": 24, "libvpx": 8}
"""Default CRF: visually clean on flat colours and sharp lines."""
_CQ = {"h264_nvenc": 19, "hevc_nvenc": 21, "av1_nvenc": 26}
"""Default quality of NVIDIA's encoders in place of CRF, close to the software's. Not judged by eye yet."""
_SPEED: dict[str, dict[str, str]] = {
    # On flat areas with hard edges, the costly motion search, references and CABAC of slower presets bring
    # little. Deblocking, small intra blocks and narrow dead zones bring much; see docs/performance.md.
    "libx264": {
        "preset": "ultrafast",
        "bf": "1",
        "b_strategy": "0",
        "deblock": "2,2",
        "partitions": "i4x4",
        "x264-params": "ipratio=2:pbratio=1.5:deadzone-inter=11:deadzone-intra=6",
    },
    "libx265": {
        "preset": "veryfast",
        "x265-params": "log-level=error:ctu=32:me=dia:subme=0:psy-rd=0:psy-rdoq=0",
    },
    # By default, SVT-AV1 predicts across more frames, which suits cartoons badly.
    "libsvtav1": {"preset": "10", "svtav1-params": "hierarchical-levels=2"},
    "libvpx-vp9": {"cpu-used": "5"},
    "libvpx": {"cpu-used": "5"},
}
"""Options if no preset is given: fast on an ordinary computer."""
_QP_ABOVE_CRF = 3
"""x264's constant quantiser minus the CRF of equal SSIM, on cartoons."""
LIVE_PRESET = "superfast"
"""Preset of libx264 for live frames."""
_CRF_MAX = {
    "libx264": 51,
    "libx265": 51,
    "libsvtav1": 63,
    "libvpx-vp9": 63,
    "libvpx": 63,
    "h264_nvenc": 51,
    "hevc_nvenc": 51,
    "av1_nvenc": 63,
}
_EXTRA: dict[str, dict[str, str]] = {
    "libx265": {"x265-params": "log-level=error"},
    "libvpx-vp9": {"deadline": "good", "row-mt": "1"},
    "libvpx": {"deadline": "good"},
    # `cq` only applies to variable bit rate.
    **{f"{codec}{NVENC}": {"rc": "vbr", "preset": "p4", "tune": "hq"} for codec in ("h264", "hevc", "av1")},
}
_AVX512 = 256
"""OpenCV's number for AVX-512 of Skylake servers (cv::CpuFeatures)."""
_ODD_SIZES = ("libvpx-vp9", "libvpx", "ffv1", "gif")


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """A validated encoder with its settings."""

    name: str
    codec: str
    """The codec's own name, e.g. "h264"."""
    options: dict[str, str]
    pixel_format: str

    @property
    def takes_odd_sizes(self) -> bool:
        """Whether odd sizes work. For other encoders, 4:2:0 requires an even width and height."""
        return self.name in _ODD_SIZES

    @property
    def needs_coarse_clock(self) -> bool:
        """Whether the codec requires a coarse time base."""
        return self.name in ("mpeg4", "mpeg2video", "mpeg1video")


def choose_encoder(
    kind: ContainerKind, codec: str | None, crf: int | None, preset: str | None
) -> EncoderChoice:
    """Choose the encoder for `codec` and validate its settings.

    Args:
        kind: The container format.
        codec: FFmpeg's name of an encoder or a common name; None for the container's default.
        crf: The encoder's CRF; None for the default.
        preset: The encoder's preset; None for the default.

    Raises:
        OutputError: The codec, CRF or preset does not work here. The message lists what does.
    """
    name = _resolve(kind, codec)
    encoder = Codec(name, "w")
    if encoder.type != "video":
        raise OutputError(f"{name} does not encode video; {_supported_codecs(kind)}.")
    options = dict(_EXTRA.get(name, {}))
    crf = (_CRF | _CQ).get(name) if crf is None else _checked_crf(name, crf)
    if crf is not None:
        options["cq" if name in _CQ else "crf"] = str(crf)
    if preset is None:
        options |= _SPEED.get(name, {})
    else:
        options["cpu-used" if name.startswith("libvpx") else "preset"] = _checked_preset(name, preset)
    if name == "libx264":
        if preset is None and crf:  # 0 is lossless
            # A constant quantiser needs no lookahead. Still scenes stay small, because all frames copy from a
            # fine key frame.
            del options["crf"]
            options["qp"] = str(min(crf + _QP_ABOVE_CRF, _CRF_MAX[name]))
        options = _with_x264_parameters(options)
    formats = [f.name for f in encoder.video_formats or ()]
    wanted = ("pal8",) if name == "gif" else ("yuv420p", "nv12", "yuv422p10le")
    pixel_format = next((f for f in wanted if f in formats), formats[0] if formats else "yuv420p")
    return EncoderChoice(name, encoder.canonical_name, options, pixel_format)


def live_encoder(kind: ContainerKind, bits: int, interval: int, *, global_header: bool) -> EncoderChoice:
    """Return the container's default encoder, configured by `low_latency`."""
    choice = low_latency(choose_encoder(kind, None, None, None), bits, interval)
    options = dict(choice.options)
    if kind.format == "whip":
        options["profile"] = "baseline"  # the profile that every WebRTC endpoint supports (RFC 7742)
    if global_header:
        options["flags"] = "+global_header"
    return replace(choice, options=options)


def low_latency(choice: EncoderChoice, bits: int, interval: int) -> EncoderChoice:
    """Configure an encoder for live frames: no lookahead.

    `bits` per second, averaged over one second. At least one key frame every `interval` frames.
    """
    options = {key: value for key, value in choice.options.items() if key not in ("crf", "cq", "qp")}
    options |= {"b": str(bits), "maxrate": str(bits), "bufsize": str(bits), "g": str(interval), "bf": "0"}
    # Key frames only where requested: segments of a playlist begin with one.
    if choice.name == "libx264":
        for key in ("b_strategy", "deblock", "partitions"):
            options.pop(key, None)
        # At a fixed bit rate, the preset decides the quality. A file takes the bits that it needs.
        options |= {"preset": LIVE_PRESET, "tune": "zerolatency", "forced-idr": "1"}
        options = _with_x264_parameters(options | {"x264-params": "scenecut=0"})
    elif choice.name.endswith(NVENC):
        at_once = {"tune": "ull", "zerolatency": "1", "delay": "0", "rc": "cbr"}
        options |= {**at_once, "forced-idr": "1", "no-scenecut": "1"}
    return replace(choice, options=options)


def add_video(
    container: OutputContainer, kind: ContainerKind, choice: EncoderChoice, rate: Fraction
) -> VideoStream:
    """Add a video stream for `choice`. Raises OutputError if the container does not support the codec."""
    if choice.name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # it logs to stderr: errors only
    fits = kind.codecs is None or choice.codec in kind.codecs
    try:
        if fits:
            return container.add_stream(choice.name, rate=rate, options=choice.options)  # type: ignore[return-value,call-overload,no-any-return,unused-ignore]
    except ValueError:
        fits = False
    raise OutputError(f"{kind.name} does not support {choice.codec}; {_supported_codecs(kind)}.")


def open_failure(choice: EncoderChoice, error: Exception) -> str:
    """Return the message for an encoder that exists but does not open."""
    if choice.name.endswith(NVENC) and isinstance(error, PermissionError):  # no driver, or no GPU
        return f"{choice.name} needs an NVIDIA GPU, and there is none. Use --codec {choice.codec}."
    reason = str(getattr(error, "strerror", None) or error).lower()
    return f"The encoder {choice.name} cannot be opened: {reason}."


@contextmanager
def without_realtime_priority() -> Iterator[None]:
    """Reset real-time priority of all threads that get it within this block.

    SVT-AV1, run as root, gives the highest priority to its threads and to the thread that opens it. That
    would block everything else on the machine, including decoding and rendering.
    """
    if sys.platform != "linux" or os.sched_getscheduler(0) != os.SCHED_OTHER:
        yield
        return
    try:
        yield
    finally:
        for thread in (int(task.name) for task in Path("/proc/self/task").iterdir()):
            with suppress(ProcessLookupError):  # it has ended
                if os.sched_getscheduler(thread) == os.SCHED_FIFO:
                    os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _with_x264_parameters(options: dict[str, str]) -> dict[str, str]:
    """Return `options` of x264 with the instruction set that it may use."""
    if not cv2.checkHardwareSupport(_AVX512):
        return options
    # With AVX-512, macroblock trees read past the end of rows that are not a multiple of 8 macroblocks, and
    # the output differs between runs. With AVX2 it does not, and is faster, also without the trees.
    parameters = filter(None, [options.get("x264-params"), "asm=avx2"])
    return options | {"x264-params": ":".join(parameters)}


def _resolve(kind: ContainerKind, codec: str | None) -> str:
    wanted = [_ALIASES.get(codec.lower(), codec.lower())] if codec else list(kind.video)
    for name in wanted:
        for encoder in _ENCODERS.get(name, (name,)):
            if _is_encoder(encoder):
                return encoder
    raise OutputError(f"There is no video encoder {codec or wanted[0]} here; {_supported_codecs(kind)}.")


def _is_encoder(name: str) -> bool:
    try:
        Codec(name, "w")
    except (av.FFmpegError, ValueError):
        return False
    return True


def _supported_codecs(kind: ContainerKind) -> str:
    with av.open("x", "w", format=kind.format) as container:
        taken = kind.codecs or container.supported_codecs
    names = [n for n, encoders in _ENCODERS.items() if n in taken and any(map(_is_encoder, encoders))]
    return f"supported codecs for {kind.name}: {', '.join(names)}"


def _checked_crf(name: str, crf: int) -> int:
    top = _CRF_MAX.get(name)
    if top is None:
        raise OutputError(f"{name} has no CRF setting. Leave it out, or use another codec.")
    best = 1 if name in _CQ else 0  # NVIDIA's encoders use 0 for automatic
    if not best <= crf <= top:
        raise OutputError(f"CRF {crf} is out of range for {name}: {best} (best) to {top}.")
    return crf


def _checked_preset(name: str, preset: str) -> str:
    allowed = _PRESETS.get(name)
    if allowed is None:
        known = CodecContext.create(name, "w").supported_options.private
        allowed = [choice.name for o in known if o.name == "preset" for choice in o.choices]
    if not allowed:
        raise OutputError(f"{name} has no presets. Leave the setting out, or use another codec.")
    if preset not in allowed:
        instead = f"use one of {', '.join(allowed)}"
        if all(each.isdigit() for each in allowed):
            instead = f"its presets are the numbers {allowed[0]} (slowest) to {allowed[-1]} (fastest)"
        raise OutputError(f'"{preset}" is not a preset of {name}; {instead}.')
    return preset
