"""A conversion to be killed, or to run into a full disk: a few times in a test, many by hand.

python tests/support/killed_job.py run IN OUT [AFTER]  convert in short parts; say when so many are drawn
python tests/support/killed_job.py kill 200         kill that many at work, resume each, compare
python tests/support/killed_job.py fill 50         that many to which the disk became full (as root, on Linux)
"""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import av
from paths import ROOT

SHORTEST, LONGEST = 12, 24
"""Pictures of a part, so that a short job has many."""
PICTURES = 300
"""Of a job that is killed by hand."""
BETWEEN = 0.1
"""Seconds between two calls for progress, and about those that joining takes."""
STYLE = "comic"
QUALITY: Literal["lite"] = "lite"
FULL = 3
"""How a job ends whose disk is full."""


def run(source: Path, target: Path, after: int) -> None:
    """Convert `source`; a line when `after` pictures are drawn, and one with how many were there before."""
    from streamtoon.api import Cartoonizer
    from streamtoon.errors import OutputError
    from streamtoon.media.segments import segments as parts
    from streamtoon.pipeline.run import Progress

    parts.MIN_SEGMENT_FRAMES, parts.MAX_SEGMENT_FRAMES = SHORTEST, LONGEST
    told = False

    def tell(progress: Progress) -> None:
        nonlocal told
        if progress.frames >= after and not told:
            told = True
            sys.stdout.write("drawn\n")
            sys.stdout.flush()

    with Cartoonizer(STYLE, quality=QUALITY) as cartoonizer:
        try:
            report = cartoonizer.video(source, target, overwrite=True, on_progress=tell)
        except OutputError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(FULL if re.search("disk is full|no space left", str(error)) else 1)
    sys.stdout.write(f"{report.kept}\n")


def start(source: Path, target: Path, after: int = 0) -> subprocess.Popen[str]:
    """The process."""
    root = ROOT
    command = [sys.executable, __file__, "run", str(source), str(target), str(after)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def run_to_end(source: Path, target: Path) -> tuple[int, str]:
    """The code that it ends with, and what it says."""
    process = start(source, target)
    said, _ = process.communicate()
    return process.returncode, said


def finish(source: Path, target: Path) -> int | None:
    """Run it to its end; how many pictures were there before. None where nothing was left to do."""
    if target.exists() and not Path(f"{target}.unfinished").exists():
        return None
    code, said = run_to_end(source, target)
    assert code == 0, f"{target} is not finished"
    return int(said.split()[-1])


def kill_once(source: Path, target: Path, after: int, more: float) -> bool:
    """Begin, kill -9 so many seconds after so many pictures; whether it was still at work."""
    with start(source, target, after) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            process.wait(more)
        except subprocess.TimeoutExpired:
            process.kill()
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode != 0


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Callable[[int], None]]:
    """A disk in memory; what it gives changes its size. Raises OSError without the right to mount."""

    def mount(*options: str) -> None:
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, text=True)
        if done.returncode:
            raise OSError(done.stderr.strip())

    folder.mkdir()
    mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs")
    try:
        yield lambda kilobytes: mount("-o", f"remount,size={kilobytes}k")
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def fill_once(source: Path, folder: Path, kilobytes: int) -> tuple[str, Path]:
    """Convert onto a disk of that size, make it larger where it became full, and convert again.

    What was at hand when it became full, empty where it did not, and a copy of the result.
    """
    from streamtoon.media.segments.packet_store import PacketStore

    result, full = folder.with_suffix(".result.mp4"), ""
    with small_disk(folder, kilobytes) as resize:
        target = folder / "out.mp4"
        code, _ = run_to_end(source, target)
        left = sorted(path.name for path in folder.iterdir())
        if code == FULL:
            assert left in ([], ["out.mp4.unfinished"])
            full = "the first part"
            resize(1 << 17)
            if left:
                with PacketStore(target) as work:
                    work.load()
                    full = "the file of all parts" if work.complete else "a later part"
                    assert work.parts
            finish(source, target)
        else:
            assert code == 0, f"ended with {code}"
        assert [path.name for path in folder.iterdir()] == ["out.mp4"]
        shutil.copy(target, result)
    return full, result


def contents(path: Path) -> list[tuple[str, int | None, bytes]]:
    """Every decoded picture with its time, and every packet of sound: what two files must share."""
    found: list[tuple[str, int | None, bytes]] = []
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.stream.type == "audio" and packet.size:
                found.append(("sound", packet.pts, bytes(packet)))
            elif packet.stream.type == "video":
                found += [
                    ("picture", frame.pts, frame.to_ndarray().tobytes())
                    for frame in packet.decode()
                    if isinstance(frame, av.VideoFrame)
                ]
    return sorted(found, key=lambda item: (item[0], item[1] or 0))


def main() -> None:
    """What the command line asks for."""
    if sys.argv[1] == "run":
        source, target, *after = sys.argv[2:]
        run(Path(source), Path(target), int(*after))
        return
    from media_clips import make_clip

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "in.mp4", pts=[512 * n for n in range(PICTURES)])
        whole = folder / "whole.mp4"
        finish(clip, whole)
        {"kill": kill_many, "fill": fill_many}[sys.argv[1]](int(sys.argv[2]), clip, whole)


def kill_many(wanted: int, clip: Path, whole: Path) -> None:
    """Kill jobs until so many were at work; each has to become `whole` all the same.

    Nearly one in six is killed when all is drawn, and it is joining.
    """
    expected, dice = contents(whole), random.Random(1)
    seen, jobs = Counter[str](), 0
    while seen.total() < wanted:
        target = whole.with_name(f"{jobs}.mp4")
        after = min(PICTURES, dice.randrange(PICTURES * 6 // 5))
        killed = kill_once(clip, target, after, dice.uniform(0, BETWEEN))
        kept = finish(clip, target)
        assert contents(target) == expected, f"job {jobs} differs"
        left = [*whole.parent.glob("*.unfinished*"), *whole.parent.glob(".*")]
        assert not left, f"{left} is left"
        target.unlink()
        seen.update([_place(kept)] if killed else [])
        jobs += 1
        sys.stderr.write(
            f"\r{seen.total()} of {jobs} jobs were killed ({_counts(seen)}), all equal in the end"
        )
    sys.stderr.write("\n")


def _place(kept: int | None) -> str:
    """At what a job was that had kept so much."""
    if kept is None:
        return "after the last"
    return {0: "in the first part", PICTURES: "in the file of all parts"}.get(kept, "in a later part")


def _counts(seen: Counter[str]) -> str:
    return ", ".join(f"{count} {place}" for place, count in sorted(seen.items()))


def fill_many(wanted: int, clip: Path, whole: Path) -> None:
    """Run jobs onto disks of chance sizes until so many became full; all have to become `whole`."""
    expected, dice = contents(whole), random.Random(1)
    need, seen, jobs = 2 * whole.stat().st_size // 1024, Counter[str](), 0
    while seen.total() < wanted:
        full, result = fill_once(clip, whole.parent / "disk", dice.randrange(64, need + 64))
        assert contents(result) == expected, f"job {jobs} differs"
        seen.update([f"in {full}"] if full else [])
        jobs += 1
        sys.stderr.write(
            f"\r{seen.total()} of {jobs} disks became full ({_counts(seen)}), all equal in the end"
        )
    sys.stderr.write("\n")


if __name__ == "__main__":
    main()
