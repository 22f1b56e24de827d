"""Decoding by the video hardware of NVIDIA's GPUs (NVDEC), where it is asked for.

What it decodes lies on the GPU and is copied into main memory, as NV12 or, of 10 bits, P010. H.264, HEVC and
VP9 state every sample of a decoded picture, so these are the software's pictures, bit for bit. It does not
tell of damage within a picture, and FFmpeg's copy off a failing GPU may come without an error, too. What it
does not take, FFmpeg decodes in software.
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
"""What NVDEC decodes to the bit."""
DEEP = "yuv420p10le"
"""What the software gives where the GPU gives P010."""
THREADS = 4
"""Of a decoder on the GPU: each wants surfaces of its own, of which there are 32 in all. They do the work
where the GPU does not take a stream after all."""


@functools.cache
def accelerator() -> HWAccel:
    """What makes PyAV decode on the GPU. Raises EngineError, in one sentence, where no GPU can."""
    asked = HWAccel("cuda", allow_software_fallback=True)
    try:
        asked.create(Codec("h264", "r"))
    except (av.FFmpegError, NotImplementedError, ValueError) as error:
        raise no_gpu() from error
    return asked


def no_gpu() -> EngineError:
    """One sentence for where no GPU can decode."""
    return EngineError(
        "NVDEC cannot be used here: there is no NVIDIA GPU with its driver, or the driver is too old, or its "
        "memory is full; decode on the processor (--decoder cpu)"
    )


def is_on_gpu(stream: VideoStream) -> bool:
    """Whether the GPU decodes a stream, whose first picture there is: FFmpeg may have taken the processor."""
    return stream.codec_context.is_hwaccel and stream.codec_context.pix_fmt == "cuda"


def gives_all(stream: VideoStream, frame: VideoFrame) -> bool:
    """Whether the GPU's first picture is the processor's: 4:2:0 of 8 or 10 bits, all of it and no more.

    `frame` is as `unpacked` gives it. Of an odd size FFmpeg's copy leaves out half a row of chroma, and it
    crops hardware pictures at two sides only.
    """
    context = stream.codec_context
    whole = (frame.width, frame.height) == (context.width, context.height)
    even = frame.width % 2 == 0 and frame.height % 2 == 0
    return is_on_gpu(stream) and frame.format.name in ("nv12", DEEP) and whole and even


def not_decoded(codec: str, pixel_format: str) -> str:
    """The sentence for a video that the GPU was asked to decode and does not."""
    return f"NVDEC is not used for this video ({codec}, {pixel_format}): the processor decodes it."


def unpacked(frame: VideoFrame) -> VideoFrame:
    """A picture of 10 bits as the software gives it; any other as it is."""
    return frame.reformat(format=DEEP) if frame.format.name == "p010le" else frame


def set_threads(stream: VideoStream) -> None:
    """As many as there are cores, or as the GPU has surfaces for. The decoder must not be open yet."""
    stream.thread_type = "AUTO"
    if stream.codec_context.is_hwaccel:
        stream.codec_context.thread_count = THREADS
