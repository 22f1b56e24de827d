"""Which encoder draws the output, and with which settings."""

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
from streamtoon.media.containers import ContainerKind

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
"""Common names, and the encoders that stand for each in order of preference."""
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
"""How the names of NVIDIA's encoders end: h264_nvenc, hevc_nvenc, av1_nvenc."""
_CRF = {"libx264": 18, "libx265": 20, "libsvtav1": 26, "libvpx-vp9": 24, "libvpx": 8}
"""Visually clean on flat colours and clear lines."""
_CQ = {"h264_nvenc": 19, "hevc_nvenc": 21, "av1_nvenc": 26}
"""What NVIDIA's encoders have in CRF's place, near the software's numbers; not judged by eye yet."""
_SPEED: dict[str, dict[str, str]] = {
    # What makes superfast's files large is that it does not look ahead, which costs next to nothing: with
    # macroblock trees they are within -16 and +5 % of veryfast's at a like SSIM (four cartoons), in 0.52 to
    # 0.75 of its time.
    "libx264": {"preset": "superfast", "tune": "animation", "x264-params": "mbtree=1:rc-lookahead=10"},
    "libx265": {"preset": "veryfast"},
    "libsvtav1": {"preset": "10"},
    "libvpx-vp9": {"cpu-used": "5"},
    "libvpx": {"cpu-used": "5"},
}
"""Options where no preset is asked for: the speed of an ordinary computer."""
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
    # `cq` is looked at where the bit rate is variable.
    **{f"{codec}{NVENC}": {"rc": "vbr", "preset": "p4", "tune": "hq"} for codec in ("h264", "hevc", "av1")},
}
_AVX512 = 256
"""OpenCV's number for AVX-512 as Skylake servers have it (cv::CpuFeatures)."""
_ODD_SIZES = ("libvpx-vp9", "libvpx", "ffv1", "gif")


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """An encoder with its settings, checked."""

    name: str
    codec: str
    """The codec's own name, e.g. "h264"."""
    options: dict[str, str]
    pixel_format: str

    @property
    def takes_odd_sizes(self) -> bool:
        """False where 4:2:0 has to have an even width and height."""
        return self.name in _ODD_SIZES

    @property
    def needs_coarse_clock(self) -> bool:
        """True for codecs that cannot count time in fine units."""
        return self.name in ("mpeg4", "mpeg2video", "mpeg1video")


def choose_encoder(
    kind: ContainerKind, codec: str | None, crf: int | None, preset: str | None
) -> EncoderChoice:
    """The encoder for `codec` (FFmpeg's encoder name or a common name; None: the container's default).

    Raises OutputError for a codec, CRF or preset that does not work here, listing what does.
    """
    name = _resolve(kind, codec)
    encoder = Codec(name, "w")
    if encoder.type != "video":
        raise OutputError(f"{name} does not encode video; {_working(kind)}.")
    options = dict(_EXTRA.get(name, {}))
    crf = (_CRF | _CQ).get(name) if crf is None else _checked_crf(name, crf)
    if crf is not None:
        options["cq" if name in _CQ else "crf"] = str(crf)
    if preset is None:
        options |= _SPEED.get(name, {})
    else:
        options["cpu-used" if name.startswith("libvpx") else "preset"] = _checked_preset(name, preset)
    if name == "libx264" and cv2.checkHardwareSupport(_AVX512):
        # With AVX-512 its macroblock trees read past the end of rows of no multiple of 8 macroblocks, and
        # the same pictures come out differently each time; with AVX2 they do not, and it is faster.
        options["x264-params"] = ":".join([*filter(None, [options.get("x264-params")]), "asm=avx2"])
    formats = [f.name for f in encoder.video_formats or ()]
    wanted = ("pal8",) if name == "gif" else ("yuv420p", "nv12", "yuv422p10le")
    pixel_format = next((f for f in wanted if f in formats), formats[0] if formats else "yuv420p")
    return EncoderChoice(name, encoder.canonical_name, options, pixel_format)


def live_encoder(kind: ContainerKind, bits: int, interval: int, *, global_header: bool) -> EncoderChoice:
    """The container's own encoder, made to give every picture `without_delay`."""
    choice = without_delay(choose_encoder(kind, None, None, None), bits, interval)
    options = dict(choice.options)
    if kind.format == "whip":
        options["profile"] = "baseline"  # the one that every WebRTC end takes (RFC 7742)
    if global_header:
        options["flags"] = "+global_header"
    return replace(choice, options=options)


def without_delay(choice: EncoderChoice, bits: int, interval: int) -> EncoderChoice:
    """The encoder for pictures that are wanted at once: it looks at none before it codes one.

    `bits` a second, evened out over one; a key frame every `interval` pictures at least.
    """
    options = {key: value for key, value in choice.options.items() if key not in ("crf", "cq")}
    options |= {"b": str(bits), "maxrate": str(bits), "bufsize": str(bits), "g": str(interval), "bf": "0"}
    # Key frames where they are asked for, and nowhere else: segments of a playlist begin with one.
    if choice.name == "libx264":
        parameters = options.pop("x264-params").split(":")
        kept = [each for each in parameters if not each.startswith(("mbtree", "rc-lookahead"))]
        options |= {"tune": "zerolatency", "forced-idr": "1", "x264-params": ":".join([*kept, "scenecut=0"])}
    elif choice.name.endswith(NVENC):
        at_once = {"tune": "ull", "zerolatency": "1", "delay": "0", "rc": "cbr"}
        options |= {**at_once, "forced-idr": "1", "no-scenecut": "1"}
    return replace(choice, options=options)


def add_video(
    container: OutputContainer, kind: ContainerKind, choice: EncoderChoice, rate: Fraction
) -> VideoStream:
    """A stream that `choice` encodes. Raises OutputError when the container does not take the codec."""
    if choice.name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # it writes its own log to stderr: errors only
    fits = kind.codecs is None or choice.codec in kind.codecs
    try:
        if fits:
            return container.add_stream(choice.name, rate=rate, options=choice.options)  # type: ignore[return-value,call-overload,no-any-return,unused-ignore]
    except ValueError:
        fits = False
    raise OutputError(f"{kind.name} does not take {choice.codec}; {_working(kind)}.")


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Takes real-time priority away from every thread again that gets it within this block.

    As root SVT-AV1 gives the highest to its threads, and to the one that opens it: whatever else the machine
    does, decoding and drawing included, would stand still for it.
    """
    if sys.platform != "linux" or os.sched_getscheduler(0) != os.SCHED_OTHER:
        yield
        return
    try:
        yield
    finally:
        for thread in (int(task.name) for task in Path("/proc/self/task").iterdir()):
            with suppress(ProcessLookupError):  # it has ended meanwhile
                if os.sched_getscheduler(thread) == os.SCHED_FIFO:
                    os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _resolve(kind: ContainerKind, codec: str | None) -> str:
    wanted = [_ALIASES.get(codec.lower(), codec.lower())] if codec else list(kind.video)
    for name in wanted:
        for encoder in _ENCODERS.get(name, (name,)):
            if _is_encoder(encoder):
                return encoder
    raise OutputError(f"There is no video encoder {codec or wanted[0]} here; {_working(kind)}.")


def _is_encoder(name: str) -> bool:
    try:
        Codec(name, "w")
    except (av.FFmpegError, ValueError):
        return False
    return True


def _working(kind: ContainerKind) -> str:
    with av.open("x", "w", format=kind.format) as container:
        taken = kind.codecs or container.supported_codecs
    names = [n for n, encoders in _ENCODERS.items() if n in taken and any(map(_is_encoder, encoders))]
    return f"codecs that work here for {kind.name}: {', '.join(names)}"


def _checked_crf(name: str, crf: int) -> int:
    top = _CRF_MAX.get(name)
    if top is None:
        raise OutputError(f"{name} has no CRF setting; leave it out or take another codec.")
    best = 1 if name in _CQ else 0  # NVIDIA's take 0 for "as you like"
    if not best <= crf <= top:
        raise OutputError(f"A CRF of {crf} is out of range for {name}: {best} (best) to {top}.")
    return crf


def _checked_preset(name: str, preset: str) -> str:
    allowed = _PRESETS.get(name)
    if allowed is None:
        known = CodecContext.create(name, "w").supported_options.private
        allowed = [choice.name for o in known if o.name == "preset" for choice in o.choices]
    if not allowed:
        raise OutputError(f"{name} has no presets; leave the setting out or take another codec.")
    if preset not in allowed:
        raise OutputError(f'"{preset}" is no preset of {name}; take one of {", ".join(allowed)}.')
    return preset
