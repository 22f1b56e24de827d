"""Decoding by the video hardware of NVIDIA's GPUs (NVDEC), where it is asked for.

What it decodes lies on the GPU and is copied into main memory, as NV12. H.264, HEVC and VP9 state every
sample of a decoded picture, so these are the software's pictures, bit for bit. It does not tell of damage
within a picture, and it has its limits of size and profile, beyond which FFmpeg decodes in software.

Run as a program, it prints for which codecs that holds on this machine, as JSON. A driver that fails may take
its process with it: `proven` asks in a child.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any, Literal

import av
import numpy as np
from av.codec import Codec
from av.codec.hwaccel import HWAccel

from streamtoon.children import command, environment
from streamtoon.errors import EngineError

DecoderName = Literal["cpu", "nvdec"]
CODECS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9"}
"""What NVDEC decodes to the bit -> the encoder of the clip that proves it."""
THREADS = 4
"""Of a decoder on the GPU: each wants surfaces of its own, of which there are 32 in all. They do the work
where the GPU does not take a stream after all."""
FORMATS = ("nv12", "p010le", "p016le")
"""In which 4:2:0 comes back from the GPU."""
PATIENCE = 60
"""Seconds for the proof; a GPU that sleeps takes some to wake up."""
PICTURES = 24
WIDTH, HEIGHT = 320, 192
_QUIET = {"hevc": {"x265-params": "log-level=error"}}


def accelerator() -> HWAccel:
    """What makes PyAV decode on the GPU. Raises EngineError, in one sentence, where no GPU can."""
    asked = HWAccel("cuda", allow_software_fallback=True)
    try:
        asked.create(Codec("h264", "r"))
    except (av.FFmpegError, NotImplementedError, ValueError) as error:
        raise EngineError(
            "NVDEC cannot be used here: there is no NVIDIA GPU with its driver, or the driver is too old; "
            "decode on the processor (--decoder cpu)"
        ) from error
    return asked


def proven() -> dict[str, bool]:
    """By codec, whether this machine's GPU gives the very pictures that the processor decodes."""
    nothing = dict.fromkeys(CODECS, False)
    try:
        accelerator()
        done = subprocess.run(
            command(__name__),
            capture_output=True,
            timeout=PATIENCE,
            check=True,
            env=environment(),
        )
        return {**nothing, **json.loads(done.stdout)}
    except (EngineError, OSError, subprocess.SubprocessError, ValueError):
        return nothing


def clip(codec: str) -> bytes:
    """A short video of that codec with something that moves, and noise that no decoder could guess."""
    file, noise = io.BytesIO(), np.random.default_rng(0)
    with av.open(file, "w", format="matroska") as out:
        stream: Any = out.add_stream(CODECS[codec], rate=25, options=_QUIET.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        ground = noise.integers(0, 256, (HEIGHT * 3 // 2, WIDTH), np.uint8)
        for number in range(PICTURES):
            frame = av.VideoFrame.from_ndarray(np.roll(ground, 3 * number, 1), "yuv420p")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def pictures(data: bytes, hwaccel: HWAccel | None) -> list[bytes]:
    """The samples of every picture, 4:2:0. Raises FFmpegError where the GPU is asked for and does not."""
    with av.open(io.BytesIO(data), "r", hwaccel=hwaccel) as file:
        return [frame.reformat(format="yuv420p").to_ndarray().tobytes() for frame in file.decode(video=0)]


def _main() -> None:
    found = {}
    for codec in CODECS:
        data = clip(codec)
        try:
            drawn = pictures(data, HWAccel("cuda", allow_software_fallback=False))
        except (av.FFmpegError, NotImplementedError, RuntimeError):
            drawn = []
        found[codec] = drawn == pictures(data, None)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    _main()
