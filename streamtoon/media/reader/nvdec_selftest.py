"""A self-test of NVDEC: whether this machine's GPU decodes bit-identically to the CPU, by codec.

As a program, it prints the result as JSON. A failing driver may crash its process, so `verified_codecs` runs
the test in a child process.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.video.frame import VideoFrame

from streamtoon.media.reader.nvdec import CODECS, TEN_BIT_FORMAT, set_threads, to_planar
from streamtoon.subprocesses import command, environment

ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9"}
"""The encoders of the test clips."""
TIMEOUT_S = 60
"""Timeout for all codecs. A sleeping GPU needs seconds to wake up."""
FRAME_COUNT = 24
WIDTH, HEIGHT = 320, 192
_QUIET = {"hevc": {"x265-params": "log-level=error"}}


def verified_codecs() -> dict[str, bool]:
    """Return for each codec whether this machine's GPU decodes bit-identically to the CPU."""
    nothing = dict.fromkeys(CODECS, False)
    try:
        done = subprocess.run(
            command(__name__), capture_output=True, timeout=TIMEOUT_S, check=True, env=environment()
        )
        return {**nothing, **json.loads(done.stdout)}
    except (OSError, subprocess.SubprocessError, ValueError):
        return nothing


def clip(codec: str, pixel_format: str = "yuv420p") -> bytes:
    """Return a short video in this codec with motion and random noise."""
    file, noise = io.BytesIO(), np.random.default_rng(0)
    with av.open(file, "w", format="matroska") as out:
        stream: Any = out.add_stream(ENCODERS[codec], rate=25, options=_QUIET.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        ground = noise.integers(0, 256, (HEIGHT * 3 // 2, WIDTH), np.uint8)
        for number in range(FRAME_COUNT):
            frame = VideoFrame.from_ndarray(np.roll(ground, 3 * number, 1), "yuv420p")
            out.mux(stream.encode(frame.reformat(format=pixel_format)))
        out.mux(stream.encode(None))
    return file.getvalue()


def decoded_frames(data: bytes, hwaccel: HWAccel | None, pixel_format: str = "yuv420p") -> list[bytes]:
    """Return the samples of every frame. Raises FFmpegError if the GPU is requested and fails."""
    with av.open(io.BytesIO(data), "r", hwaccel=hwaccel) as file:
        set_threads(file.streams.video[0])
        return [
            to_planar(frame).reformat(format=pixel_format).to_ndarray().tobytes()
            for frame in file.decode(video=0)
        ]


def _main() -> None:
    found = {}
    for codec in CODECS:
        # Only the newest GPUs decode 10-bit H.264 in hardware. FFmpeg knows which.
        formats = ("yuv420p", TEN_BIT_FORMAT) if codec == "hevc" else ("yuv420p",)
        found[codec] = all(_agrees(codec, pixel_format) for pixel_format in formats)
    json.dump(found, sys.stdout)


def _agrees(codec: str, pixel_format: str) -> bool:
    data = clip(codec, pixel_format)
    try:
        drawn = decoded_frames(data, HWAccel("cuda", allow_software_fallback=False), pixel_format)
    except (av.FFmpegError, NotImplementedError, RuntimeError):
        return False
    return drawn == decoded_frames(data, None, pixel_format)


if __name__ == "__main__":
    _main()
