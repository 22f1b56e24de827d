"""Decoding on the video hardware of NVIDIA GPUs (NVDEC), on request.

Decoded frames are copied to main memory as NV12, or as P010 for 10 bits. H.264, HEVC and VP9 define every
sample of a decoded frame, so these frames are bit-identical to those of the software decoder. NVDEC does not
report damage within a frame, and FFmpeg's copy from a failing GPU may report no error either. FFmpeg decodes
in software what NVDEC does not support.
"""

from __future__ import annotations

import functools
from typing import Literal

import av
from av.codec import Codec
from av.codec.hwaccel import HWAccel
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamtoon.errors import EngineError

DecoderName = Literal["cpu", "nvdec"]
CODECS = ("h264", "hevc", "vp9")
"""Codecs that NVDEC decodes bit-exactly."""
TEN_BIT_FORMAT = "yuv420p10le"
"""The software decoder's format for what the GPU returns as P010."""
GPU_THREADS = 4
"""Threads of a GPU decoder. Each needs surfaces, of which there are 32 in total. They do the work if the GPU
does not support a stream after all."""


@functools.cache
def accelerator() -> HWAccel:
    """Return the accelerator for PyAV. Raises EngineError if no GPU can decode."""
    asked = HWAccel("cuda", allow_software_fallback=True)
    try:
        asked.create(Codec("h264", "r"))
    except (av.FFmpegError, NotImplementedError, ValueError) as error:
        raise no_gpu_error() from error
    return asked


def no_gpu_error() -> EngineError:
    """Return the error for a machine without a usable GPU decoder."""
    return EngineError(
        "NVDEC is not available: there is no NVIDIA GPU with its driver, the driver is too old, or the "
        "GPU's memory is full; use --decoder cpu"
    )


def is_on_gpu(stream: VideoStream) -> bool:
    """Return whether the GPU decodes a stream. Valid after the first frame: FFmpeg may have fallen back to
    the CPU.
    """
    return stream.codec_context.is_hwaccel and stream.codec_context.pix_fmt == "cuda"


def delivers_whole_frame(stream: VideoStream, frame: VideoFrame) -> bool:
    """Return whether the GPU's first frame equals the CPU's: 4:2:0 of 8 or 10 bits, complete and not larger.

    `frame` comes from `to_planar`. For odd sizes, FFmpeg's copy omits half a chroma row, and it crops
    hardware frames on two sides only.
    """
    context = stream.codec_context
    whole = (frame.width, frame.height) == (context.width, context.height)
    even = frame.width % 2 == 0 and frame.height % 2 == 0
    return is_on_gpu(stream) and frame.format.name in ("nv12", TEN_BIT_FORMAT) and whole and even


def unsupported_warning(codec: str, pixel_format: str) -> str:
    """Return the warning for a video that the GPU does not decode although it was requested."""
    return f"NVDEC does not support this video ({codec}, {pixel_format}): the CPU decodes it."


def to_planar(frame: VideoFrame) -> VideoFrame:
    """Convert a 10-bit frame to the software decoder's format; return any other unchanged."""
    return frame.reformat(format=TEN_BIT_FORMAT) if frame.format.name == "p010le" else frame


def set_threads(stream: VideoStream) -> None:
    """Use as many threads as cores, or as the GPU has surfaces for. The decoder must not be open yet."""
    stream.thread_type = "AUTO"
    if stream.codec_context.is_hwaccel:
        stream.codec_context.thread_count = GPU_THREADS
