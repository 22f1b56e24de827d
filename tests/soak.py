"""A long conversion watched from outside: memory, files, threads, and sound against pictures at the end.

python tests/soak.py [SECONDS] [STYLE]      an hour by default, of a small clip in a loop; needs ffmpeg, Linux

Ends with code 1, and a sentence for each bound that does not hold.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
import numpy as np

TARGET = "out.mp4"
EVERY = 0.25
"""Seconds between two looks."""
SLOPE = 6.0
"""MB for each hour of video that memory may grow by while pictures are drawn."""
NOISE = 4.0
"""MB that memory may come and go by, however short the video is."""
JOINING = 60.0
"""MB for each hour of video that joining may take beside: FFmpeg's tables of what it reads and writes."""
START = 0.2
"""Of the time of drawing, which does not count: caches fill."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a process."""

    seconds: float
    megabytes: float
    files: int
    threads: int
    joining: bool
    """Whether all pictures are drawn, and the output is being written, or there."""


def look(process: int, began: float, folder: Path) -> Look | None:
    """None once it has ended."""
    facts = Path(f"/proc/{process}")
    try:
        pages = int((facts / "statm").read_text().split()[1])
        files, threads = (sum(1 for _ in (facts / name).iterdir()) for name in ("fd", "task"))
    except OSError:
        return None
    megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    joining = any(folder.glob(".*.part")) or (folder / TARGET).exists()
    return Look(time.perf_counter() - began, megabytes, files, threads, joining)


def ends(path: Path) -> dict[str, float]:
    """Seconds at which the sound and the pictures of a file end."""
    last: dict[str, Fraction] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                end = (packet.pts + packet.duration) * packet.time_base
                last[packet.stream.type] = max(last.get(packet.stream.type, end), end)
    return {kind: float(end) for kind, end in last.items()}


def slope(looks: Sequence[Look], hours: float) -> float:
    """MB for each hour of video by least squares; `hours` went by between the first look and the last."""
    times = np.array([each.seconds for each in looks])
    video = (times - times[0]) / (times[-1] - times[0]) * hours
    return float(np.polyfit(video, [each.megabytes for each in looks], 1)[0])


def steady(looks: Sequence[Look]) -> list[Look]:
    """Those of drawing, without its start."""
    drawing = [each for each in looks if not each.joining]
    began, ended = drawing[0].seconds, drawing[-1].seconds
    return [each for each in drawing if each.seconds >= began + START * (ended - began)]


def complaints(
    looks: Sequence[Look], hours: float, before: dict[str, float], after: dict[str, float], frame: float
) -> list[str]:
    """A sentence for each bound that does not hold. `hours` of video were drawn; `frame` is in seconds."""
    drawn = steady(looks)
    here = hours * (1 - START)
    said = []
    if (found := slope(drawn, here)) * here > max(SLOPE * here, NOISE):
        said.append(f"memory grows by {found:.1f} MB for each hour of video, more than {SLOPE:g}")
    joining = [each.megabytes for each in looks if each.joining]
    beside = max(joining, default=0.0) - max(each.megabytes for each in drawn)
    if beside > JOINING * hours + NOISE:
        said.append(f"joining takes {beside:.0f} MB more, above {JOINING:g} for each hour of video")
    third = len(drawn) // 3
    for name in ("files", "threads"):
        # Medians: a file that is opened for a moment, as when joining begins, is no growth.
        early, late = (
            median(getattr(each, name) for each in part) for part in (drawn[:third], drawn[-third:])
        )
        if late > early:
            said.append(f"open {name} grow from {early:g} to {late:g}")
    for kind, end in after.items():
        if abs(end - before[kind]) > frame:
            said.append(f"{kind} ends at {end:.3f} s, {before[kind]:.3f} in the source")
    if after.keys() != before.keys():
        said.append(f"the result has {', '.join(after)}, the source {', '.join(before)}")
    return said


def watch(folder: Path, seconds: float, style: str) -> list[str]:
    """Make the source, convert it, say what was seen; gives the `complaints`."""
    from media_clips import make_clip

    clip = make_clip(folder / "clip.mp4", size=(192, 108), pts=[512 * n for n in range(250)])
    source, target = folder / "in.mp4", folder / TARGET
    loop = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(clip), "-t", str(seconds), "-c", "copy"]
    subprocess.run([*loop, str(source)], check=True)
    command = [sys.executable, "-m", "streamtoon", "video", str(source), str(target), "-q"]
    root = Path(__file__).parent.parent
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--style", style, "--quality", "lite" if style == "comic" else "fast"],
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    looks: list[Look] = []
    while process.poll() is None:
        if seen := look(process.pid, began, folder):
            looks.append(seen)
        time.sleep(EVERY)
    assert process.returncode == 0, "the conversion failed"
    took, hours = time.perf_counter() - began, seconds / 3600
    before, after, drawn = ends(source), ends(target), steady(looks)
    most = max(each.megabytes for each in looks)
    files, threads = ([getattr(each, name) for each in drawn] for name in ("files", "threads"))
    sys.stdout.write(
        f"{seconds:.0f} s of video in {took:.0f} s\n"
        f"memory {drawn[0].megabytes:.0f} MB at first, {drawn[-1].megabytes:.0f} when all is drawn, "
        f"{most:.0f} at most, while joining; "
        f"{slope(drawn, hours * (1 - START)):+.1f} MB for each hour of video while drawing\n"
        f"open files {min(files)} to {max(files)}, threads {min(threads)} to {max(threads)}\n"
        f"pictures end at {after['video']:.3f} s ({before['video']:.3f} in the source), "
        f"sound at {after['audio']:.3f} ({before['audio']:.3f})\n"
    )
    return complaints(looks, hours, before, after, frame=1 / 25)


def main() -> None:
    """What the command line asks for."""
    seconds, style = float((*sys.argv, "3600")[1]), (*sys.argv, "", "comic")[2] or "comic"
    with tempfile.TemporaryDirectory() as name:
        said = watch(Path(name), seconds, style)
    for sentence in said:
        sys.stderr.write(f"{sentence}\n")
    sys.exit(1 if said else 0)


if __name__ == "__main__":
    main()
