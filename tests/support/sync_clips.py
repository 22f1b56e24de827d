"""Clips with a white flash and a beep at every full second, and FFmpeg's command as their reader."""

from __future__ import annotations

import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

RATE = 48000
SIZE = 64, 48


def sync_clip(
    path: Path,
    seconds: int = 4,
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    sound: str = "aac",
    sound_rate: int = RATE,
    sound_from: Fraction = Fraction(0),
    offset: Fraction = Fraction(0),
    container_options: dict[str, str] | None = None,
) -> Path:
    """`seconds` at 25 pictures a second: black and silent, but for 0.1 s at every full second.

    The sound before `sound_from` is left out. `offset` is added to all times.
    """
    with av.open(str(path), "w", container_options=container_options or {}) as out:
        video: Any = out.add_stream(codec, rate=25, options=options or {})
        video.width, video.height, video.pix_fmt = *SIZE, "yuvj420p" if codec == "mjpeg" else "yuv420p"
        tone: Any = out.add_stream(sound, rate=sound_rate, layout="mono")
        tone.codec_context.open()
        out.start_encoding()
        for n in range(25 * seconds):
            light = 255 if n % 25 * 0.04 < 0.1 else 0
            rgb = np.full((SIZE[1], SIZE[0], 3), light, np.uint8)
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=video.pix_fmt)
            frame.pts, frame.time_base = n + int(25 * offset), Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        first, end = int(sound_from * sound_rate), seconds * sound_rate
        t = np.arange(first, end) / sound_rate
        samples = 0.5 * np.sin(2 * np.pi * 1000 * t) * (t % 1 < 0.1)
        kind = tone.codec_context.format.name
        size = tone.codec_context.frame_size or 1024
        for at in range(first, end, size):
            block = samples[at - first : at - first + size].astype(np.float32)[None]
            floating = av.AudioFrame.from_ndarray(block, "fltp", "mono")
            floating.sample_rate = sound_rate
            beep = av.AudioResampler(kind, "mono", sound_rate).resample(floating)[0]
            beep.pts, beep.time_base = at + int(offset * sound_rate), Fraction(1, sound_rate)
            out.mux(tone.encode(beep))
        out.mux(tone.encode(None))
    return path


def events(path: Path) -> tuple[list[float], list[float]]:
    """When flashes and beeps begin, in seconds by the container's clock, but for those at the very beginning.

    The clip has to end dark and silent.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed")
    filters = "-vf", "blackdetect=d=0.2:pix_th=0.5", "-af", "silencedetect=n=-30dB:d=0.2"
    done = subprocess.run(
        [program, "-hide_banner", "-copyts", "-i", str(path), *filters, "-f", "null", "-"],
        capture_output=True,
        check=True,
        text=True,
    )
    flashes = [float(each) for each in re.findall(r"black_end:([-\d.]+)", done.stderr)]
    beeps = [float(each) for each in re.findall(r"silence_end: ([-\d.]+)", done.stderr)]
    return flashes[:-1], beeps[:-1]  # the last is the end, where darkness and silence stop too
