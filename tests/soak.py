"""A long conversion watched from outside: memory, files, threads, and sound against pictures at the end.

python tests/soak.py [SECONDS] [STYLE]      an hour by default, of a small clip in a loop; needs ffmpeg, Linux
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

EVERY = 0.5
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a process."""

    seconds: float
    megabytes: float
    files: int
    threads: int


def look(process: int, began: float) -> Look | None:
    """None once it has ended."""
    folder = Path(f"/proc/{process}")
    try:
        pages = int((folder / "statm").read_text().split()[1])
        files, threads = (sum(1 for _ in (folder / name).iterdir()) for name in ("fd", "task"))
    except OSError:
        return None
    return Look(time.perf_counter() - began, pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files, threads)


def ends(path: Path) -> dict[str, float]:
    """Seconds at which the sound and the pictures of a file end."""
    last: dict[str, Fraction] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                end = (packet.pts + packet.duration) * packet.time_base
                last[packet.stream.type] = max(last.get(packet.stream.type, end), end)
    return {kind: float(end) for kind, end in last.items()}


def main() -> None:
    """Make the source, convert it, say what was seen."""
    seconds, style = float((*sys.argv, "3600")[1]), (*sys.argv, "", "comic")[2] or "comic"
    from media_clips import make_clip

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "clip.mp4", size=(192, 108), pts=[512 * n for n in range(250)])
        source, target = folder / "in.mp4", folder / "out.mp4"
        loop = [
            "ffmpeg",
            "-v",
            "error",
            "-stream_loop",
            "-1",
            "-i",
            str(clip),
            "-t",
            str(seconds),
            "-c",
            "copy",
        ]
        subprocess.run([*loop, str(source)], check=True)
        command = [sys.executable, "-m", "streamtoon", "video", str(source), str(target), "-q"]
        root = Path(__file__).parent.parent
        began = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--style", style, "--quality", "lite" if style == "comic" else "fast"],
            env={**os.environ, "PYTHONPATH": str(root)},
        )
        looks = []
        while process.poll() is None:
            if seen := look(process.pid, began):
                looks.append(seen)
            time.sleep(EVERY)
        assert process.returncode == 0, "the conversion failed"
        took = time.perf_counter() - began
        # Start-up grows; what counts begins when a tenth is done.
        steady = [each for each in looks if each.seconds > took / 10]
        video_hours = [each.seconds / took * seconds / 3600 for each in steady]
        slope = float(np.polyfit(video_hours, [each.megabytes for each in steady], 1)[0])
        before, after = ends(source), ends(target)
        most = max(each.megabytes for each in looks)
        files, threads = ([getattr(each, name) for each in steady] for name in ("files", "threads"))
        sys.stdout.write(
            f"{seconds:.0f} s of video in {took:.0f} s\n"
            f"memory {steady[0].megabytes:.0f} MB at first, {steady[-1].megabytes:.0f} at last, "
            f"{most:.0f} at most; {slope:+.1f} MB for each hour of video\n"
            f"open files {min(files)} to {max(files)}, threads {min(threads)} to {max(threads)}\n"
            f"pictures end at {after['video']:.3f} s ({before['video']:.3f} in the source), "
            f"sound at {after['audio']:.3f} ({before['audio']:.3f})\n"
        )


if __name__ == "__main__":
    main()
