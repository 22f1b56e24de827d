"""A conversion to be killed: the process that `test_resume.py` ends at random moments, and many more by hand.

python tests/killed_job.py run STYLE IN OUT          convert in short parts; say "drawing" when it has begun
python tests/killed_job.py kill 200                  kill that many, resume each, compare
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av

SHORTEST, LONGEST = 12, 24
"""Pictures of a part, so that a short job has many."""


def run(style: Path, source: Path, target: Path) -> None:
    """Convert `source`; a line when the first picture is drawn."""
    from streamtoon.cartoonizer import Cartoonizer
    from streamtoon.media import parts

    parts.SHORTEST, parts.LONGEST = SHORTEST, LONGEST
    told = False

    def tell(progress: object) -> None:
        nonlocal told
        if not told:
            told = True
            sys.stdout.write("drawing\n")
            sys.stdout.flush()

    with Cartoonizer(style, quality="full") as cartoonizer:
        cartoonizer.video(source, target, on_progress=tell)


def start(style: Path, source: Path, target: Path) -> subprocess.Popen[str]:
    """The process, just now drawing its first pictures or beyond."""
    root = Path(__file__).parent.parent
    command = [sys.executable, __file__, "run", str(style), str(source), str(target)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def finish(style: Path, source: Path, target: Path) -> None:
    """Run it again where it was killed before its file was there, to its end."""
    if target.exists():
        return
    with start(style, source, target) as process:
        pass
    assert process.returncode == 0, f"{target} is not resumed"


def kill_once(style: Path, source: Path, target: Path, after: float) -> bool:
    """Begin, kill -9 after so many seconds of drawing; whether it was still at work."""
    with start(style, source, target) as process:
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    assert process.returncode == 0
    return False


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
        run(*map(Path, sys.argv[2:5]))
        return
    from conftest import make_style
    from media_clips import make_clip

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        style = make_style(folder / "style")
        clip = make_clip(folder / "in.mp4", pts=[512 * n for n in range(300)])
        whole = folder / "whole.mp4"
        with start(style, clip, whole):
            began = time.perf_counter()
        length = time.perf_counter() - began
        expected, dice = contents(whole), random.Random(1)
        wanted = int(sys.argv[2])
        killed = jobs = 0
        while killed < wanted:
            target = folder / f"{jobs}.mp4"
            killed += kill_once(style, clip, target, dice.uniform(0, 1.2 * length))
            finish(style, clip, target)
            assert contents(target) == expected, f"job {jobs} differs"
            assert not list(folder.glob("*.unfinished")) and not list(folder.glob(".*")), "something is left"
            target.unlink()
            jobs += 1
            sys.stderr.write(f"\r{killed} killed of {jobs} jobs, all equal")
    sys.stderr.write("\n")


if __name__ == "__main__":
    main()
