"""For the tests of streams: a clip that flashes and beeps, servers by FFmpeg, and the command itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

SIZE = (320, 180)
RATE = 25
HANG = 60.0
"""Seconds after which something hangs."""
FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="no ffmpeg here to talk to")


def flash_and_beep(path: Path, seconds: int, size: tuple[int, int] = SIZE) -> Path:
    """Moving shapes that turn white for one picture, and beep, at every whole second."""
    flash = "drawbox=color=white:t=fill:enable='lt(mod(t,1),0.03)'"
    pictures = f"testsrc2=size={size[0]}x{size[1]}:rate={RATE},{flash}"
    beep = "aevalsrc='0.8*sin(2*PI*1000*t)*lt(mod(t,1),0.04)':s=48000:c=stereo"
    ffmpeg = [FFMPEG or "ffmpeg", "-v", "error", "-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", beep]
    coding = ["-c:v", "libx264", "-preset", "veryfast", "-g", str(RATE), "-pix_fmt", "yuv420p", "-c:a", "aac"]
    subprocess.run([*ffmpeg, "-t", str(seconds), *coding, "-y", path], check=True, timeout=HANG)
    return path


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def ffmpeg(*arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """FFmpeg at work; asked to end, then made to, when the block is left."""
    command = [FFMPEG or "ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(0.5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(HANG)


class Stream:
    """`streamtoon stream` at work."""

    def __init__(self, *arguments: str | Path) -> None:
        command = [sys.executable, "-m", "streamtoon", "stream", *map(str, arguments), "--json"]
        if "--quality" not in command:
            command += ["--quality", "lite"]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )

    def stop(self) -> dict[str, Any]:
        """Ctrl-C, and what it says of itself."""
        self.process.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self) -> dict[str, Any]:
        """What it says of itself at its own end."""
        out, err = self._read()
        assert self.process.returncode == 0, err
        assert "Traceback" not in err
        summary: dict[str, Any] = json.loads(out)
        return {**summary, "stderr": err}

    def failed(self) -> str:
        """The one sentence of a run that cannot be."""
        out, err = self._read()
        assert self.process.returncode == 1, (self.process.returncode, err)
        assert "Traceback" not in err
        assert not out
        return " ".join(line for line in err.splitlines() if line.startswith("error: "))

    def _read(self) -> tuple[str, str]:
        try:
            return self.process.communicate(timeout=HANG)
        finally:
            self.process.kill()


@contextmanager
def stream(*arguments: str | Path) -> Iterator[Stream]:
    """`streamtoon stream` at work, ended with the block at the latest."""
    running = Stream(*arguments)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait(HANG)


def written(folder: Path) -> int:
    """Bytes of a file that has not its name yet."""
    return max((file.stat().st_size for file in folder.glob(".out.mkv.*")), default=0)


def wait_for(what: Callable[[], object], seconds: float = HANG) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


@dataclass
class Received:
    """What came at the far end, as PyAV and NumPy see it."""

    dts: dict[str, list[float]]
    keys: list[bool]
    sound: list[bytes]
    """Contents of the packets."""
    luma: list[np.ndarray[Any, Any]]
    times: list[float]
    """Of the pictures, seconds."""
    flashes: list[float]
    beeps: list[float]

    def rises(self, untimed: int = 0) -> bool:
        """Whether all times do, strictly, after so many pictures that came without a time."""
        series = (self.dts["video"][untimed:], self.dts["audio"], self.times[untimed:])
        return all(b > a for times in series for a, b in pairwise(times))

    @property
    def offsets(self) -> list[float]:
        """Seconds from each flash to its beep."""
        near = [(f, min(self.beeps, key=lambda b: abs(b - f))) for f in self.flashes if self.beeps]
        return [beep - flash for flash, beep in near if abs(beep - flash) < 0.5]


def received(path: Path | str) -> Received:
    result = Received({"video": [], "audio": []}, [], [], [], [], [], [])
    samples: list[tuple[float, np.ndarray[Any, Any]]] = []
    with av.open(str(path)) as file:
        for packet in file.demux():
            kind = ""
            if packet.is_corrupt:  # the last of a recording whose writer was killed
                continue
            if packet.size:
                kind = packet.stream.type
                stamp = packet.pts if packet.dts is None else packet.dts  # Matroska stores the former
                assert stamp is not None
                result.dts[kind].append(float(stamp * packet.time_base))
            if kind == "video":
                result.keys.append(packet.is_keyframe)
            elif kind == "audio":
                result.sound.append(bytes(packet))
            frames: list[Any] = packet.decode()
            for frame in frames:
                if isinstance(frame, av.VideoFrame):
                    result.luma.append(frame.to_ndarray(format="gray"))
                    result.times.append(float(frame.time))
                else:
                    loud = np.abs(frame.to_ndarray().astype(np.float64)).max(axis=0)
                    samples.append((float(frame.time), loud))
    white = [bool(luma.mean() > 225) for luma in result.luma]
    result.flashes = [t for n, t in enumerate(result.times) if white[n] and not (n and white[n - 1])]
    last = -1.0
    for time_, loud in samples:
        for place in np.nonzero(loud > 0.2)[0]:
            at = time_ + place / 48000
            if at - last > 0.3:
                result.beeps.append(at)
            last = at
    return result
