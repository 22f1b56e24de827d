"""Whatever ends a conversion, the same one goes on from its last whole part, and nobody can tell."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from killed_job import LONGEST, SHORTEST, contents, fill_once, finish, kill_once, start
from media_clips import make_clip
from typer.testing import CliRunner

from streamtoon.cartoonizer import Cartoonizer
from streamtoon.cli.app import app
from streamtoon.errors import EngineError, OutputError, StreamtoonError, UnfinishedError
from streamtoon.media import Source, parts
from streamtoon.media.work import CodedPicture, Work
from streamtoon.report import Report

PICTURES = 100


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "SHORTEST", SHORTEST)
    monkeypatch.setattr(parts, "LONGEST", LONGEST)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unevenly timed, with key frames here and there and pictures that are coded out of order."""
    pts = [512 * n + 100 * (n % 3) for n in range(PICTURES)]
    folder = tmp_path_factory.mktemp("clips")
    return make_clip(folder / "clip.mp4", pts=pts, options={"g": "17", "bf": "3"})


def _convert(style: Path | str, source: Path, target: Path, **options: Any) -> Report:
    settings = {name: options.pop(name) for name in ("strength", "detail") if name in options}
    with Cartoonizer(style, quality="full", **settings) as cartoonizer:
        return cartoonizer.video(source, target, **options)


class _AfterParts(threading.Event):
    """Is set once it has been looked at so often: once at the start, and once after every part."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self._left = parts + 1

    def is_set(self) -> bool:
        self._left -= 1
        return self._left <= 0


def _stop(style: Path, source: Path, target: Path, after: int = 2, **options: Any) -> None:
    """A conversion that is stopped after so many parts."""
    with pytest.raises(UnfinishedError, match=r"are done and kept in .*\.unfinished; the same command"):
        _convert(style, source, target, stop=_AfterParts(after), **options)
    assert not target.exists()
    with Work(target) as work:
        work.load()
        assert len(work.parts) == after


@pytest.fixture(scope="module")
def whole(clip: Path, style_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run that nobody stops gives."""
    target = tmp_path_factory.mktemp("whole") / "whole.mp4"
    with start(style_folder, clip, target) as process:
        pass
    assert process.returncode == 0
    return target


def test_parts_show_no_seam(clip: Path, whole: Path) -> None:
    source, cartoon = contents(clip), contents(whole)
    assert [item[:2] for item in cartoon] == [item[:2] for item in source]
    assert [item for item in cartoon if item[0] == "sound"] == [item for item in source if item[0] == "sound"]


def test_killed_at_any_moment(style_folder: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "long.mp4", size=(128, 96), pts=[512 * n for n in range(400)])
    whole, dice, killed = tmp_path / "whole.mp4", random.Random(0), 0
    finish(style_folder, clip, whole)
    expected = contents(whole)
    for job in range(5):
        target = tmp_path / f"{job}.mp4"
        killed += kill_once(style_folder, clip, target, dice.uniform(0, 0.4))
        finish(style_folder, clip, target)
        assert contents(target) == expected
        target.unlink()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["long.mp4", "whole.mp4"]
    assert killed


@pytest.mark.parametrize("share", [0.3, 0.9, 1.6])
def test_a_disk_that_becomes_full(
    clip: Path, whole: Path, style_folder: Path, tmp_path: Path, share: float
) -> None:
    try:
        size = round(share * whole.stat().st_size / 1024)
        full, result, left = fill_once(style_folder, clip, tmp_path / "disk", size)
    except OSError as error:
        pytest.skip(f"a disk to fill cannot be mounted here: {error}")
    assert full
    assert left in ([], ["out.mp4.unfinished"])
    assert contents(result) == contents(whole)


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov", ".ts", ".webm", ".avi", ".flv"])
def test_a_stopped_run_goes_on(
    clip: Path, style_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    expected = tmp_path / f"whole{ending}"
    _convert(style_folder, clip, expected)
    target = tmp_path / f"part{ending}"
    _stop(style_folder, clip, target)
    with Work(target) as work:
        work.load()
        kept = work.pictures
    assert SHORTEST <= kept < PICTURES
    # It seeks: nothing is read from the front and dropped.
    monkeypatch.setattr(Source, "skip", lambda *_: pytest.fail("read from the front"))
    report = _convert(style_folder, clip, target)
    assert (report.kept, report.frames_out, report.frames_in) == (kept, PICTURES, PICTURES)
    assert contents(target) == contents(expected)
    assert not Path(f"{target}.unfinished").exists()


def test_decoding_times_of_joined_parts_grow_and_leave_room() -> None:
    dice = random.Random(0)
    for _ in range(200):
        spacing, depth, start = dice.choice([1, 512]), dice.randrange(4), 0
        coded: list[list[CodedPicture]] = []
        for _ in range(3):
            pts = [start + spacing * n for n in range(dice.randrange(depth + 2, 30))]
            start = pts[-1] + spacing
            early = spacing * dice.randrange(depth, depth + 3)
            order = sorted(pts, key=lambda time: (time != pts[0], time + spacing * dice.randrange(depth + 1)))
            assert order[0] == pts[0]
            coded.append([CodedPicture(p, d - early, 1, False, b"") for p, d in zip(order, pts, strict=True)])
        joined = list(parts.in_one_order(len(coded), coded.__getitem__))
        assert [each.pts for each in joined] == [each.pts for part in coded for each in part]
        times = [each.dts for each in joined]
        assert all(b > a for a, b in pairwise(times))
        assert all(each.dts <= each.pts for each in joined)


@pytest.mark.parametrize("codec", ["hevc", "av1", "ffv1", "mpeg4"])
def test_parts_of_every_codec_join(clip: Path, style_folder: Path, tmp_path: Path, codec: str) -> None:
    target = tmp_path / "out.mkv"
    _stop(style_folder, clip, target, codec=codec)
    _convert(style_folder, clip, target, codec=codec)
    source, cartoon = contents(clip), contents(target)
    assert sum(item[0] == "picture" for item in cartoon) == sum(item[0] == "picture" for item in source)


def test_a_cut_goes_on(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    part: dict[str, Any] = {"start": 0.7, "end": 3.4}
    expected, target = tmp_path / "whole.mp4", tmp_path / "part.mp4"
    _convert(style_folder, clip, expected, **part)
    _stop(style_folder, clip, target, **part)
    report = _convert(style_folder, clip, target, **part)
    assert report.kept
    assert contents(target) == contents(expected)


def test_a_source_that_cannot_be_sought_is_read_from_the_front(
    style_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its 10 bits go through a filter, whose memory a jump would lose.
    clip = make_clip(tmp_path / "deep.mkv", pts=[512 * n for n in range(60)], pixel_format="yuv420p10le")
    expected, target = tmp_path / "whole.mp4", tmp_path / "part.mp4"
    _convert(style_folder, clip, expected)
    _stop(style_folder, clip, target)
    monkeypatch.setattr(Source, "skip_to", lambda *_: pytest.fail("it has jumped"))
    assert _convert(style_folder, clip, target).kept
    assert contents(target) == contents(expected)


def test_wrong_pictures_after_a_jump_are_seen(
    clip: Path, style_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, target = tmp_path / "whole.mp4", tmp_path / "part.mp4"
    _convert(style_folder, clip, expected)
    _stop(style_folder, clip, target)
    skip_to = Source.skip_to
    monkeypatch.setattr(Source, "skip_to", lambda self, n, pts, check: skip_to(self, n, pts, check ^ 1))
    assert _convert(style_folder, clip, target).kept
    assert contents(target) == contents(expected)


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
def test_what_is_not_the_same_is_begun_afresh(
    clip: Path, style_folder: Path, tmp_path: Path, said: str
) -> None:
    change, options = CHANGES[said]
    own = tmp_path / "in.mp4"
    own.write_bytes(clip.read_bytes() + b"\0\0\0\x08free")
    target = tmp_path / "out.mp4"
    _stop(style_folder, own, target)
    if change:
        change(own, target)
    report = _convert(style_folder, own, target, **options)
    assert report.kept == 0
    assert any(said in warning and "begun afresh" in warning for warning in report.warnings)


def test_another_style_is_begun_afresh(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    _stop(style_folder, clip, target)
    report = _convert("comic", clip, target)
    assert report.kept == 0
    assert any("the style is not the same" in warning for warning in report.warnings)


def test_a_start_that_fails_takes_nothing_away(
    clip: Path, whole: Path, style_folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    _stop(style_folder, clip, target)
    with (
        Cartoonizer(style_folder, quality="full", device="nowhere") as other,
        pytest.raises(EngineError, match="nothing installed here offers nowhere"),
    ):
        other.video(clip, target)
    with Work(target):
        pass
    assert _convert(style_folder, clip, target).kept
    assert contents(target) == contents(whole)


def test_what_matters_is_said_before_the_work(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    said: list[str] = []
    _stop(style_folder, clip, target)

    def begun(progress: Any) -> None:
        assert any("begun afresh" in text for text in said)

    report = _convert(style_folder, clip, target, crf=30, on_warning=said.append, on_progress=begun)
    assert set(said) <= set(report.warnings)


def test_the_source_is_never_the_place_of_the_work(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "out.mp4.unfinished"
    source.write_bytes(clip.read_bytes())
    with pytest.raises(OutputError, match="rename it"):
        _convert(style_folder, source, tmp_path / "out.mp4")
    assert source.read_bytes() == clip.read_bytes()


def test_a_folder_goes_on_with_what_is_missing(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "in" / name).write_bytes(clip.read_bytes())
    arguments = ["video", str(tmp_path / "in"), str(tmp_path / "out"), "--style", str(style_folder)]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    (tmp_path / "out" / "b.mp4").unlink()
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, (tmp_path / "out" / "b.mp4").exists()) == (0, True), done.output
    assert "1 of 2 videos are there already" in done.output


def test_killed_when_the_file_is_there(
    clip: Path, whole: Path, style_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.mp4"
    with monkeypatch.context() as broken:
        broken.setattr(Work, "discard", lambda self: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception, match="killed"):
            _convert(style_folder, clip, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "out.mp4.unfinished"]
    with pytest.raises(OutputError, match="exists already"):
        _convert(style_folder, clip, target)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert contents(target) == contents(whole)


def test_no_resume_begins_afresh_without_a_word(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    _stop(style_folder, clip, target)
    report = _convert(style_folder, clip, target, resume=False)
    assert (report.kept, report.warnings) == (0, ())


def test_a_part_that_has_rotted_is_drawn_again(
    clip: Path, whole: Path, style_folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    _stop(style_folder, clip, target, after=3)
    with closing(sqlite3.connect(f"{target}.unfinished")) as file, file:
        (parts_before,) = file.execute("SELECT count(*) FROM parts").fetchone()
        file.execute("UPDATE packets SET data = zeroblob(length(data)) WHERE part = 1 AND is_key = 1")
    assert parts_before == 3
    report = _convert(style_folder, clip, target)
    assert SHORTEST <= report.kept <= LONGEST  # the first part alone
    assert contents(target) == contents(whole)


def test_what_stands_in_the_place_is_left_alone(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    other = Path(f"{target}.unfinished")
    other.write_text("my unfinished novel" * 500)
    with pytest.raises(StreamtoonError, match=r"out\.mp4\.unfinished"):
        _convert(style_folder, clip, target, resume=False)
    assert other.read_text() == "my unfinished novel" * 500
    other.unlink()
    with closing(sqlite3.connect(other)) as file:
        file.execute("CREATE TABLE mine (value)")
    with pytest.raises(OutputError, match="something else: move it"):
        _convert(style_folder, clip, target)


def test_two_do_not_work_on_one_output(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    _stop(style_folder, clip, target)
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
            _convert(style_folder, clip, target)
    finally:
        other.kill()
        other.communicate()
    assert _convert(style_folder, clip, target).kept


def test_killed_while_joining(
    clip: Path, whole: Path, style_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.mp4"
    from streamtoon import conversion

    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise KeyboardInterrupt

        broken.setattr(conversion, "join", fail)
        with pytest.raises(UnfinishedError, match=f"{PICTURES} of about {PICTURES} pictures are done"):
            _convert(style_folder, clip, target)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4.unfinished"]
    report = _convert(style_folder, clip, target)
    assert (report.kept, report.frames_out, report.engine.style) == (PICTURES, PICTURES, "shaken")
    assert contents(target) == contents(whole)
