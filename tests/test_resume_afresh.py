"""What cannot be gone on with is begun afresh, and what stands in the way is said and left alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from killed_job import LONGEST, SHORTEST, contents
from stopped_runs import convert, stop

from streamtoon.errors import EngineError, OutputError, StreamtoonError
from streamtoon.media.work import Work

pytestmark = pytest.mark.usefixtures("short_parts")


def _other_input(clip: Path, other: Path) -> None:
    data = bytearray(clip.read_bytes())
    data[-1] ^= 1
    clip.write_bytes(data)


CHANGES: dict[str, tuple[Callable[[Path, Path], None] | None, dict[str, Any]]] = {
    "the input is not the same": (_other_input, {}),
    "the settings are not the same": (None, {"crf": 30}),
    "settings are not the same": (None, {"strength": 0.5}),
}


@pytest.mark.parametrize("said", CHANGES)
def test_what_is_not_the_same_is_begun_afresh(uneven_clip: Path, tmp_path: Path, said: str) -> None:
    change, options = CHANGES[said]
    own = tmp_path / "in.mp4"
    own.write_bytes(uneven_clip.read_bytes() + b"\0\0\0\x08free")
    target = tmp_path / "out.mp4"
    stop(own, target)
    if change:
        change(own, target)
    report = convert(own, target, **options)
    assert report.kept == 0
    assert any(said in warning and "begun afresh" in warning for warning in report.warnings)


def test_another_style_is_begun_afresh(uneven_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    stop(uneven_clip, target, quality="fast")
    report = convert(uneven_clip, target, quality="fast", style="scroll")
    assert report.kept == 0
    assert any("the style is not the same" in warning for warning in report.warnings)


def test_a_start_that_fails_takes_nothing_away(
    uneven_clip: Path, uneven_cartoon: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    stop(uneven_clip, target)
    with pytest.raises(EngineError, match="nothing installed here offers nowhere"):
        convert(uneven_clip, target, device="nowhere")
    with Work(target):
        pass
    assert convert(uneven_clip, target).kept
    assert contents(target) == contents(uneven_cartoon)


def test_what_matters_is_said_before_the_work(uneven_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    said: list[str] = []
    stop(uneven_clip, target)

    def begun(progress: Any) -> None:
        assert any("begun afresh" in text for text in said)

    report = convert(uneven_clip, target, crf=30, on_warning=said.append, on_progress=begun)
    assert set(said) <= set(report.warnings)


def test_the_source_is_never_the_place_of_the_work(uneven_clip: Path, tmp_path: Path) -> None:
    source = tmp_path / "out.mp4.unfinished"
    source.write_bytes(uneven_clip.read_bytes())
    with pytest.raises(OutputError, match="rename it"):
        convert(source, tmp_path / "out.mp4")
    assert source.read_bytes() == uneven_clip.read_bytes()


def test_no_resume_begins_afresh_without_a_word(uneven_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    stop(uneven_clip, target)
    report = convert(uneven_clip, target, resume=False)
    assert (report.kept, report.warnings) == (0, ())


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
    with pytest.raises(OutputError, match="something else: move it"):
        convert(uneven_clip, target)


def test_two_do_not_work_on_one_output(uneven_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    stop(uneven_clip, target)
    command = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from streamtoon.media.work import Work
with Work(Path(sys.argv[2])):
    print("here", flush=True)
    time.sleep(60)
"""
    root = str(Path(__file__).parent.parent)
    other = subprocess.Popen([sys.executable, "-c", command, root, str(target)], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"here\n"
        with pytest.raises(OutputError, match="Another streamtoon is working on"):
            convert(uneven_clip, target)
    finally:
        other.kill()
        other.communicate()
    assert convert(uneven_clip, target).kept
