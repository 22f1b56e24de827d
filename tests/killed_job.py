"""A conversion to be killed, or to run into a full disk: a few times in a test, many by hand.

python tests/killed_job.py run IN OUT           convert in short parts; say "drawing" when it has begun
python tests/killed_job.py kill 200             kill that many, resume each, compare
python tests/killed_job.py fill 50              that many to which the disk became full (as root, on Linux)
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av

SHORTEST, LONGEST = 12, 24
"""Pictures of a part, so that a short job has many."""
STYLE, QUALITY = "comic", "lite"
FULL = 3
"""How a job ends whose disk is full."""


def run(source: Path, target: Path) -> None:
    """Convert `source`; a line when the first picture is drawn."""
    from streamtoon.cartoonizer import Cartoonizer
    from streamtoon.errors import OutputError
    from streamtoon.media import parts

    parts.SHORTEST, parts.LONGEST = SHORTEST, LONGEST
    told = False

    def tell(progress: object) -> None:
        nonlocal told
        if not told:
            told = True
            sys.stdout.write("drawing\n")
            sys.stdout.flush()

    with Cartoonizer(STYLE, quality=QUALITY) as cartoonizer:
        try:
            cartoonizer.video(source, target, overwrite=True, on_progress=tell)
        except OutputError as error:
            sys.stderr.write(f"{error}\n")
            sys.exit(FULL if re.search("disk is full|no space left", str(error)) else 1)


def start(source: Path, target: Path) -> subprocess.Popen[str]:
    """The process, just now drawing its first pictures or beyond."""
    root = Path(__file__).parent.parent
    command = [sys.executable, __file__, "run", str(source), str(target)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def finish(source: Path, target: Path) -> None:
    """Run it again to its end, where it was killed before that."""
    if target.exists() and not Path(f"{target}.unfinished").exists():
        return
    with start(source, target) as process:
        pass
    assert process.returncode == 0, f"{target} is not resumed"


def kill_once(source: Path, target: Path, after: float) -> bool:
    """Begin, kill -9 after so many seconds of drawing; whether it was still at work."""
    with start(source, target) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    assert process.returncode == 0
    return False


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
    from streamtoon.media.work import Work

    result, full = folder.with_suffix(".result.mp4"), ""
    with small_disk(folder, kilobytes) as resize:
        target = folder / "out.mp4"
        with start(source, target) as process:
            pass
        left = sorted(path.name for path in folder.iterdir())
        if process.returncode == FULL:
            assert left in ([], ["out.mp4.unfinished"])
            full = "the first part"
            resize(1 << 17)
            if left:
                with Work(target) as work:
                    work.load()
                    full = "the file of all parts" if work.complete else "a later part"
                    assert work.parts
            finish(source, target)
        else:
            assert process.returncode == 0, f"ended with {process.returncode}"
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
                found += [("picture", frame.pts, frame.to_ndarray().tobytes()) for frame in packet.decode()]
    return sorted(found, key=lambda item: (item[0], item[1] or 0))


def main() -> None:
    """What the command line asks for."""
    if sys.argv[1] == "run":
        run(*map(Path, sys.argv[2:4]))
        return
    from media_clips import make_clip

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = make_clip(folder / "in.mp4", pts=[512 * n for n in range(300)])
        whole = folder / "whole.mp4"
        with start(clip, whole):
            began = time.perf_counter()
        length = time.perf_counter() - began
        {"kill": kill_many, "fill": fill_many}[sys.argv[1]](int(sys.argv[2]), clip, whole, length)


def kill_many(wanted: int, clip: Path, whole: Path, length: float) -> None:
    """Kill jobs of `length` seconds until so many were at work; each has to become `whole` all the same."""
    expected, dice = contents(whole), random.Random(1)
    killed = jobs = 0
    while killed < wanted:
        target = whole.with_name(f"{jobs}.mp4")
        killed += kill_once(clip, target, dice.uniform(0, 1.2 * length))
        finish(clip, target)
        assert contents(target) == expected, f"job {jobs} differs"
        left = [*whole.parent.glob("*.unfinished*"), *whole.parent.glob(".*")]
        assert not left, f"{left} is left"
        target.unlink()
        jobs += 1
        sys.stderr.write(f"\r{killed} killed of {jobs} jobs, all equal")
    sys.stderr.write("\n")


def fill_many(wanted: int, clip: Path, whole: Path, length: float) -> None:
    """Run jobs onto disks of chance sizes until so many became full; all have to become `whole`."""
    expected, dice = contents(whole), random.Random(1)
    need, seen, jobs = 2 * whole.stat().st_size // 1024, Counter[str](), 0
    while seen.total() < wanted:
        full, result = fill_once(clip, whole.parent / "disk", dice.randrange(64, need + 64))
        assert contents(result) == expected, f"job {jobs} differs"
        seen.update([full] if full else [])
        jobs += 1
        counts = ", ".join(f"{count} in {place}" for place, count in sorted(seen.items()))
        sys.stderr.write(f"\r{seen.total()} of {jobs} disks became full ({counts}), all equal in the end")
    sys.stderr.write("\n")


if __name__ == "__main__":
    main()
