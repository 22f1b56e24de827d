"""A seeded byte-flipper over videos, opened, decoded, written.

python tests/support/fuzz_media.py --cases 20000

Whatever the bytes: a StreamtoonError or a finished file, never another exception, a crash, a hang or memory
without bound. Cases run in child processes, so that a crash inside FFmpeg is seen, and named by its number:
`--first N --cases 1` runs that one again.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

from fuzzing import mutated
from media_clips import make_clip

from streamtoon.errors import StreamtoonError
from streamtoon.media import VideoReader, VideoWriter, probe

BATCH = 2000
"""Cases in one child."""
HANG = 25
"""Seconds after which a case counts as hanging."""
MEMORY = 6 << 30
"""Bytes of addresses that a child may use: FFmpeg keeps some 16 pictures at a time."""

KINDS: dict[str, dict[str, Any]] = {
    "a.mp4": {},
    "b.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}, "rotation": 90},
    "c.mkv": {},
    "d.ts": {},
    "e.avi": {"codec": "mpeg4", "audio": "libmp3lame"},
    "f.flv": {"audio": None},
    "g.webm": {"codec": "libvpx-vp9", "audio": "libopus", "options": {"deadline": "realtime"}},
    "h.mpg": {"codec": "mpeg2video", "audio": "mp2"},
    "i.gif": {"codec": "gif", "pixel_format": "rgb8", "audio": None},
    "j.h264": {"audio": None},
    "k.mov": {"codec": "prores_ks", "pixel_format": "yuv422p10le", "audio": None},
    "l.png": {"codec": "png", "pixel_format": "rgba", "audio": None, "pts": [0]},
    "m.wmv": {"codec": "msmpeg4v3", "audio": None},
    "n.mkv": {"codec": "ffv1", "pixel_format": "yuv444p", "tags": (9, 1, 9, 16)},
    "o.mxf": {"codec": "mpeg2video", "audio": None},
    "p.nut": {"codec": "mjpeg", "pixel_format": "yuvj420p", "audio": "pcm_s16le"},
    "q.apng": {"codec": "apng", "pixel_format": "rgba", "audio": None},
}


def seeds(folder: Path) -> list[tuple[str, bytes]]:
    """Small videos of many kinds, undamaged."""
    made = []
    for name, settings in KINDS.items():
        settings = {"time_base": Fraction(1, 25), "pts": list(range(6)), **settings}
        made.append(make_clip(folder / name, size=(48, 32), **settings))
    return [(path.suffix, path.read_bytes()) for path in made]


WORDS = (
    *(b"moov trak mdia stbl stsd stts stsz stco edts elst dref mvex moof traf trun avcC esds colr".split()),
    *(b"LIST hdrl strl strh idx1 movi 00dc 01wb IHDR acTL fcTL IDAT tRNS".split()),
    *(
        bytes.fromhex(ebml)
        for ebml in ("1a45dfa3", "18538067", "1549a966", "1f43b675", "a3", "ae", "ec", "63a2")
    ),
    *(b"\0\0\1" + bytes([unit]) for unit in (0x05, 0x41, 0x65, 0x67, 0x68, 0xB3, 0xB8, 0xBA, 0xE0)),
    b"\x47\x40\0\x10",
)
"""What these formats call their parts."""


def one_case(data: bytes, suffix: str, folder: Path, dice: random.Random) -> str:
    """Probe, read, and now and then write `data`; "refused" or "converted"."""
    path = folder / f"case{suffix if dice.random() < 0.9 else ''}"
    path.write_bytes(data)
    way = dice.randrange(7)
    try:
        if way == 0:
            probe(path)
        start = 0.1 if way == 1 else None
        source: Any = io.BytesIO(data) if way == 2 else path
        with VideoReader(source, start=start, on_error="stop" if way == 3 else "repair") as opened:
            if way < 5:
                for _ in opened:
                    pass
            elif opened.info.width * opened.info.height < 1 << 20:
                out = folder / f"out{dice.choice(('.mkv', '.mp4', '.ts', '.avi'))}"
                with VideoWriter(out, opened, overwrite=True) as sink:
                    for item in opened:
                        sink.write(item)
    except StreamtoonError as error:
        text = str(error)
        assert text.endswith(".") and "\n" not in text.replace(str(path), ""), text
        return "refused"
    return "converted"


def child(first: int, cases: int, seed: int) -> None:
    """Run the cases and print each number before it, and a summary at the end."""
    import av

    # What decoders have to say about damage is not news here.
    av.logging.set_level(None)
    peak = None
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    counts = {"refused": 0, "converted": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = seeds(folder)
        for number in range(first, first + cases):
            case = seed * 1_000_000_007 + number
            dice = random.Random(case)
            suffix, data = dice.choice(made)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            faulthandler.dump_traceback_later(HANG, exit=True)
            counts[one_case(mutated(data, case, WORDS), suffix, folder, dice)] += 1
        faulthandler.cancel_dump_traceback_later()
    if sys.platform == "linux":
        # Not ru_maxrss, which begins with the peak of whoever started this process.
        status = Path("/proc/self/status")
        peak = int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024 if status.exists() else None
    sys.stdout.write(json.dumps({**counts, "peak_mb": peak}) + "\n")


def run(cases: int, seed: int = 0, first: int = 0, seconds: float | None = None) -> dict[str, int]:
    """All `cases`, batch by batch, or as many batches as `seconds` allow. Raises AssertionError."""
    total = {"cases": 0, "refused": 0, "converted": 0, "peak_mb": 0}
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    while total["cases"] < cases and (seconds is None or time.monotonic() - began < seconds):
        number, count = first + total["cases"], min(BATCH, cases - total["cases"])
        command = [sys.executable, __file__, "--child", "--first", str(number), "--cases", str(count)]
        done = subprocess.run(
            [*command, "--seed", str(seed)], capture_output=True, text=True, env=environment, check=False
        )
        lines = done.stdout.splitlines() or ["none"]
        assert done.returncode == 0, f"case {lines[-1]} ended with {done.returncode}:\n{done.stderr[-3000:]}"
        summary = json.loads(lines[-1])
        total["cases"] += count
        total["peak_mb"] = max(total["peak_mb"], summary["peak_mb"] or 0)
        for end in ("refused", "converted"):
            total[end] += summary[end]
    return total


def main() -> None:
    """The command line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=20000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--first", type=int, default=0)
    options.add_argument("--child", action="store_true")
    given = options.parse_args()
    if given.child:
        child(given.first, given.cases, given.seed)
    else:
        sys.stdout.write(f"{run(given.cases, given.seed, given.first)}\n")


if __name__ == "__main__":
    main()
