"""A long conversion watched from outside: memory, files, threads, and sound against pictures at the end.

python tests/support/soak.py [SECONDS] [STYLE]  an hour, of a small clip in a loop; needs ffmpeg, Linux

Ends with code 1, and a sentence for each bound that does not hold.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
import numpy as np
from paths import ROOT

from streamtoon.media.segments.packet_store import PacketStore

TARGET = "out.mp4"
RATE = 25
"""Pictures a second of the video."""
EVERY = 0.05
"""Seconds between two looks."""
ENOUGH = 12
"""Looks while pictures are drawn, of which a third is four."""
SLOPE = 6.0
"""MB for each hour of video that memory may grow by while pictures are drawn."""
NOISE = 4.0
"""MB that memory may come and go by, however short the video is."""
JOINING = 60.0
"""MB for each hour of video that joining may take beside: FFmpeg's tables of what it reads and writes."""
START = 0.2
"""Of the pictures, which do not count: caches fill."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a process."""

    megabytes: float
    files: int
    threads: int
    kept: int
    """Pictures in the parts that are kept: 0 before the first of them."""
    joining: bool
    """Whether the last part is kept, and the output is being written, or there."""


def look(process: int, target: Path) -> Look | None:
    """None once it has ended, and where it writes to what is looked at."""
    facts = Path(f"/proc/{process}")
    try:
        pages = int((facts / "statm").read_text().split()[1])
        files, threads = (sum(1 for _ in (facts / name).iterdir()) for name in ("fd", "task"))
    except OSError:
        return None
    done = pictures(target)
    return done and Look(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files, threads, *done)


def pictures(target: Path) -> tuple[int, bool] | None:
    """How many are kept, and whether the video's last is among them; None where that is being written.

    `immutable` reads past the lock by which the process keeps the file to itself.
    """
    place = PacketStore.place(target)
    if target.exists() or not place.exists():
        return 0, target.exists()
    asked = "SELECT coalesce(sum(pictures), 0), count(*) > count(next_pts) FROM parts"
    try:
        with closing(sqlite3.connect(f"{place.as_uri()}?immutable=1", uri=True)) as file:
            kept, complete = file.execute(asked).fetchone()
    except sqlite3.Error:
        return None
    return kept, bool(complete)


def ends(path: Path) -> dict[str, float]:
    """Seconds at which the sound and the pictures of a file end."""
    last: dict[str, Fraction] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                last[packet.stream.type] = max(last.get(packet.stream.type, end), end)
    return {kind: float(end) for kind, end in last.items()}


def slope(looks: Sequence[Look]) -> float:
    """MB for each hour of video by least squares."""
    hours = [each.kept / RATE / 3600 for each in looks]
    return float(np.polyfit(hours, [each.megabytes for each in looks], 1)[0])


def steady(looks: Sequence[Look]) -> list[Look]:
    """Those between the first part that is kept and the last, without their start."""
    drawing = [each for each in looks if each.kept and not each.joining]
    if not drawing:
        return []
    first, last = drawing[0].kept, drawing[-1].kept
    return [each for each in drawing if each.kept >= first + START * (last - first)]


def complaints(
    looks: Sequence[Look], before: dict[str, float], after: dict[str, float], frame: float
) -> list[str]:
    """A sentence for each bound that does not hold. `frame` is in seconds."""
    drawn = steady(looks)
    if len(drawn) < ENOUGH or drawn[0].kept == drawn[-1].kept:
        return [f"{len(drawn)} looks at drawing are too few to judge by: take a longer video"]
    said = []
    hours = (drawn[-1].kept - drawn[0].kept) / RATE / 3600
    if (found := slope(drawn)) * hours > max(SLOPE * hours, NOISE):
        said.append(f"memory grows by {found:.1f} MB for each hour of video, more than {SLOPE:g}")
    joining = [each.megabytes for each in looks if each.joining]
    beside = max(joining, default=0.0) - max(each.megabytes for each in drawn)
    if beside > JOINING * max(before.values()) / 3600 + NOISE:
        said.append(f"joining takes {beside:.0f} MB more, above {JOINING:g} for each hour of video")
    third = len(drawn) // 3
    for name in ("files", "threads"):
        # Medians: a file that is open for a moment is no growth.
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

    clip = make_clip(folder / "clip.mp4", size=(192, 108), pts=[12800 // RATE * n for n in range(250)])
    source, target = folder / "in.mp4", folder / TARGET
    loop = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(clip), "-t", str(seconds), "-c", "copy"]
    subprocess.run([*loop, str(source)], check=True)
    command = [sys.executable, "-m", "streamtoon", "video", str(source), str(target), "-q"]
    root = ROOT
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--style", style, "--quality", "lite" if style == "comic" else "fast"],
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    looks: list[Look] = []
    while process.poll() is None:
        if seen := look(process.pid, target):
            looks.append(seen)
        time.sleep(EVERY)
    assert process.returncode == 0, "the conversion failed"
    took = time.perf_counter() - began
    before, after = ends(source), ends(target)
    sys.stdout.write(f"{seconds:.0f} s of video in {took:.0f} s\n{summary(looks)}")
    sys.stdout.write(
        f"pictures end at {after['video']:.3f} s ({before['video']:.3f} in the source), "
        f"sound at {after['audio']:.3f} ({before['audio']:.3f})\n"
    )
    return complaints(looks, before, after, frame=1 / RATE)


def summary(looks: Sequence[Look]) -> str:
    """What was seen, in lines."""
    drawn, joining = steady(looks), [each.megabytes for each in looks if each.joining]
    if not drawn:
        return "no look at drawing\n"
    first, last = drawn[0], drawn[-1]
    files, threads = ([getattr(each, name) for each in drawn] for name in ("files", "threads"))
    grown = f", {slope(drawn):+.1f} MB for each hour of video" if first.kept < last.kept else ""
    return (
        f"memory {first.megabytes:.1f} MB at {first.kept} pictures, {last.megabytes:.1f} at {last.kept}"
        f"{grown}; {max(joining, default=0):.1f} at most while joining\n"
        f"open files {min(files)} to {max(files)}, threads {min(threads)} to {max(threads)}, "
        f"{len(drawn)} looks\n"
    )


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
