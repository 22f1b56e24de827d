"""Whether this machine's NVDEC gives the very pictures that the processor decodes: tried, codec by codec.

Run as a program, it prints that as JSON. A driver that fails may take its process with it: `proven` asks in a
child.
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

from streamtoon.children import command, environment
from streamtoon.media.nvdec import CODECS, DEEP, set_threads, unpacked

ENCODERS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9"}
"""Of the clips."""
PATIENCE = 60
"""Seconds for all of them; a GPU that sleeps takes some to wake up."""
PICTURES = 24
WIDTH, HEIGHT = 320, 192
_QUIET = {"hevc": {"x265-params": "log-level=error"}}


def proven() -> dict[str, bool]:
    """By codec, whether this machine's GPU gives the very pictures that the processor decodes."""
    nothing = dict.fromkeys(CODECS, False)
    try:
        done = subprocess.run(
            command(__name__), capture_output=True, timeout=PATIENCE, check=True, env=environment()
        )
        return {**nothing, **json.loads(done.stdout)}
    except (OSError, subprocess.SubprocessError, ValueError):
        return nothing


def clip(codec: str, pixel_format: str = "yuv420p") -> bytes:
    """A short video of that codec with something that moves, and noise that no decoder could guess."""
    file, noise = io.BytesIO(), np.random.default_rng(0)
    with av.open(file, "w", format="matroska") as out:
        stream: Any = out.add_stream(ENCODERS[codec], rate=25, options=_QUIET.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        ground = noise.integers(0, 256, (HEIGHT * 3 // 2, WIDTH), np.uint8)
        for number in range(PICTURES):
            frame = VideoFrame.from_ndarray(np.roll(ground, 3 * number, 1), "yuv420p")
            out.mux(stream.encode(frame.reformat(format=pixel_format)))
        out.mux(stream.encode(None))
    return file.getvalue()


def pictures(data: bytes, hwaccel: HWAccel | None, pixel_format: str = "yuv420p") -> list[bytes]:
    """The samples of every picture. Raises FFmpegError where the GPU is asked for and does not do it."""
    with av.open(io.BytesIO(data), "r", hwaccel=hwaccel) as file:
        set_threads(file.streams.video[0])
        return [
            unpacked(frame).reformat(format=pixel_format).to_ndarray().tobytes()
            for frame in file.decode(video=0)
        ]


def _main() -> None:
    found = {}
    for codec in CODECS:
        # H.264 of 10 bits is in hardware on the newest GPUs only, and FFmpeg knows which.
        formats = ("yuv420p", DEEP) if codec == "hevc" else ("yuv420p",)
        found[codec] = all(_agrees(codec, pixel_format) for pixel_format in formats)
    json.dump(found, sys.stdout)


def _agrees(codec: str, pixel_format: str) -> bool:
    data = clip(codec, pixel_format)
    try:
        drawn = pictures(data, HWAccel("cuda", allow_software_fallback=False), pixel_format)
    except (av.FFmpegError, NotImplementedError, RuntimeError):
        return False
    return drawn == pictures(data, None, pixel_format)


if __name__ == "__main__":
    _main()
