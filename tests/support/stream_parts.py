"""For the tests of streams: a clip that counts and beeps, servers by FFmpeg, and the command itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
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
BOX, BITS = 32, 7
"""Pixels that a box of a frame's number measures, and how many there are: clips have 128 frames at most."""
HANG = 240.0
"""Seconds after which something hangs, on a machine that is busy with other things as well."""
FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="no ffmpeg here to talk to")


def count_and_beep(path: Path, seconds: int) -> Path:
    """Moving shapes, with the number of each frame in a row of black and white boxes, and a beep at every
    whole second."""
    box = f"drawbox=y={SIZE[1] - BOX}:w={BOX}:h={BOX}:t=fill"
    bits = [
        f"{box}:x={place * BOX}:color={color}:enable='eq(mod(floor(n/{1 << place}),2),{value})'"
        for place in range(BITS)
        for value, color in enumerate(("black", "white"))
    ]
    pictures = ",".join([f"testsrc2=size={SIZE[0]}x{SIZE[1]}:rate={RATE}", *bits])
    beep = "aevalsrc='0.8*sin(2*PI*1000*t)*lt(mod(t,1),0.04)':s=48000:c=stereo"
    ffmpeg = [FFMPEG or "ffmpeg", "-v", "error", "-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", beep]
    coding = ["-c:v", "libx264", "-preset", "veryfast", "-g", str(RATE), "-pix_fmt", "yuv420p", "-c:a", "aac"]
    subprocess.run([*ffmpeg, "-t", str(seconds), *coding, "-y", path], check=True, timeout=HANG)
    return path


def number(luma: np.ndarray[Any, Any]) -> int:
    """Which frame of the clip that is, as its boxes say."""
    row = luma[-BOX:, : BITS * BOX].reshape(BOX, BITS, BOX)[BOX // 4 : -BOX // 4, :, BOX // 4 : -BOX // 4]
    return int(((row.mean((0, 2)) > 128) << np.arange(BITS)).sum())


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


COMMAND = ("-m", "streamtoon")
SLOW_ENGINE = (
    "-c",
    """
import time
from streamtoon.cli import main
from streamtoon.live.renderer import LiveRenderer

submit = LiveRenderer.submit

def slow(renderer, frame):
    time.sleep(0.5)
    return submit(renderer, frame)

LiveRenderer.submit = slow
main()
""",
)
"""The command with an engine that takes half a second for a frame, on a machine however fast."""


class Stream:
    """`streamtoon stream` at work."""

    def __init__(self, *arguments: str | Path, program: Sequence[str] = COMMAND) -> None:
        command = [sys.executable, *program, "stream", *map(str, arguments), "--json"]
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
def stream(*arguments: str | Path, program: Sequence[str] = COMMAND) -> Iterator[Stream]:
    """`streamtoon stream` at work, ended with the block at the latest."""
    running = Stream(*arguments, program=program)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait(HANG)


def wait_for_listener(port: int) -> None:
    """Until somebody listens there by TCP. Not asked by connecting: FFmpeg takes the first who comes."""
    tables = [Path("/proc/net") / name for name in ("tcp", "tcp6")]

    def listens() -> bool:
        lines = [
            line.split() for table in tables if table.exists() for line in table.read_text().splitlines()
        ]
        return any(line[1].endswith(f":{port:04X}") and line[3] == "0A" for line in lines)

    if not tables[0].exists():
        time.sleep(2)  # no system but Linux lists them so simply
        return
    wait_for(listens)


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
    beeps: list[float]

    def rises(self, untimed: int = 0) -> bool:
        """Whether all times do, strictly, after so many pictures that came without a time."""
        series = (self.dts["video"][untimed:], self.dts["audio"], self.times[untimed:])
        return all(b > a for times in series for a, b in pairwise(times))

    @property
    def gap(self) -> float:
        """Seconds between two frames, at most: those that are dropped leave gaps."""
        return max(b - a for a, b in pairwise(self.times))

    @property
    def offsets(self) -> list[float]:
        """Seconds by which each beep is late to the frames around it, of a clip that lasts whole seconds.

        By the frame that is nearest to it, which says by its number where the next beep belongs: it needs not
        be the one at which the beep begins, which may have been dropped. Frames that are repeated while a
        source is away say nothing.
        """
        numbers = [number(luma) for luma in self.luma]
        fresh = [
            (time, numbers[n]) for n, time in enumerate(self.times) if n == 0 or numbers[n] != numbers[n - 1]
        ]
        found = []
        for beep in self.beeps:
            time, place = min(fresh, key=lambda each: abs(each[0] - beep))
            if abs(time - beep) < 0.4:
                late = (beep - time + place / RATE) % 1
                found.append(late - round(late))
        return found


def received(path: Path | str) -> Received:
    result = Received({"video": [], "audio": []}, [], [], [], [], [])
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
    last = -1.0
    for time_, loud in samples:
        for place in np.nonzero(loud > 0.2)[0]:
            at = time_ + place / 48000
            if at - last > 0.3:
                result.beeps.append(at)
            last = at
    return result
