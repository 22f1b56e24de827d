"""Kept work of something else is refused and left alone, and so is what stands in its place."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from killed_job import LONGEST, SHORTEST, contents
from paths import ROOT
from stopped_runs import convert, stop

from streamtoon.errors import EngineError, OutputError, StreamtoonError
from streamtoon.media.segments.packet_store import PacketStore

pytestmark = pytest.mark.usefixtures("short_parts")


def _other_input(clip: Path, other: Path) -> None:
    data = bytearray(clip.read_bytes())
    data[-1] ^= 1
    clip.write_bytes(data)


CHANGES: dict[str, tuple[Callable[[Path, Path], None] | None, dict[str, Any]]] = {
    "from another input, or from this input before it changed": (_other_input, {}),
    "with the default crf, but this command asks for crf 30": (None, {"crf": 30}),
    "with no --to, strength 1, but this command asks for --to 3, strength 0.5": (
        None,
        {"strength": 0.5, "end": 3.0},
    ),
    "with quality lite, but this command asks for quality fast": (None, {"quality": "fast"}),
    "with style comic, but this command asks for style ink": (None, {"style": "ink"}),
    "with levels 7, but this command asks for levels 4": (None, {"look": {"levels": 4}}),
}


@pytest.mark.parametrize("said", CHANGES)
def test_kept_work_of_something_else_is_refused(
    uneven_clip: Path, uneven_cartoon: Path, tmp_path: Path, said: str
) -> None:
    change, options = CHANGES[said]
    own = tmp_path / "in.mp4"
    own.write_bytes(uneven_clip.read_bytes() + b"\0\0\0\x08free")
    target = tmp_path / "out.mp4"
    kept = stop(own, target)
    before = own.read_bytes(), own.stat().st_mtime_ns
    if change:
        change(own, target)
    work = Path(f"{target}.unfinished").read_bytes()
    with pytest.raises(OutputError) as refused:
        convert(own, target, **options)
    assert f"contains {kept} frames rendered {said}" in str(refused.value)
    assert "--no-resume" in str(refused.value)
    assert Path(f"{target}.unfinished").read_bytes() == work
    own.write_bytes(before[0])
    os.utime(own, ns=(before[1], before[1]))
    assert convert(own, target).kept == kept
    assert contents(target) == contents(uneven_cartoon)


def test_work_without_a_whole_part_is_no_loss(uneven_clip: Path, tmp_path: Path) -> None:
    """What a kill leaves of the first part."""
    target = tmp_path / "out.mp4"
    stop(uneven_clip, target)
    with closing(sqlite3.connect(f"{target}.unfinished")) as file, file:
        file.execute("DELETE FROM parts")
    assert convert(uneven_clip, target, crf=30).kept == 0


def test_a_start_that_fails_takes_nothing_away(
    uneven_clip: Path, uneven_cartoon: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    stop(uneven_clip, target)
    with pytest.raises(EngineError, match="no installed engine offers nowhere"):
        convert(uneven_clip, target, device="nowhere", resume=False)
    with PacketStore(target):
        pass
    assert convert(uneven_clip, target).kept
    assert contents(target) == contents(uneven_cartoon)


def test_the_source_is_never_the_place_of_the_work(uneven_clip: Path, tmp_path: Path) -> None:
    source = tmp_path / "out.mp4.unfinished"
    source.write_bytes(uneven_clip.read_bytes())
    with pytest.raises(OutputError, match="the folder for unfinished work"):
        convert(source, tmp_path / "out.mp4")
    assert source.read_bytes() == uneven_clip.read_bytes()


def test_no_resume_starts_over_silently(uneven_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    stop(uneven_clip, target)
    report = convert(uneven_clip, target, resume=False, crf=30)
    assert (report.kept, report.warnings) == (0, ())
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_part_that_has_rotted_is_drawn_again(
    uneven_clip: Path, uneven_cartoon: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    stop(uneven_clip, target, after=3)
    with closing(sqlite3.connect(f"{target}.unfinished")) as file, file:
        (parts_before,) = file.execute("SELECT count(*) FROM parts").fetchone()
        file.execute("UPDATE packets SET data = zeroblob(length(data)) WHERE part = 1 AND is_key = 1")
    assert parts_before == 3
    report = convert(uneven_clip, target)
    assert SHORTEST <= report.kept <= LONGEST  # the first part alone
    assert contents(target) == contents(uneven_cartoon)


def test_what_stands_in_the_place_is_left_alone(uneven_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    other = Path(f"{target}.unfinished")
    other.write_text("my unfinished novel" * 500)
    with pytest.raises(StreamtoonError, match=r"out\.mp4\.unfinished"):
        convert(uneven_clip, target, resume=False)
    assert other.read_text() == "my unfinished novel" * 500
    other.unlink()
    with closing(sqlite3.connect(other)) as file:
        file.execute("CREATE TABLE mine (value)")
    with pytest.raises(OutputError, match="something else"):
        convert(uneven_clip, target)


def test_two_do_not_work_on_one_output(uneven_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    stop(uneven_clip, target)
    command = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from streamtoon.media.segments.packet_store import PacketStore
with PacketStore(Path(sys.argv[2])):
    print("here", flush=True)
    time.sleep(60)
"""
    root = str(ROOT)
    other = subprocess.Popen([sys.executable, "-c", command, root, str(target)], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"here\n"
        with pytest.raises(OutputError, match="Another streamtoon process is using"):
            convert(uneven_clip, target)
    finally:
        other.kill()
        other.communicate()
    assert convert(uneven_clip, target).kept
