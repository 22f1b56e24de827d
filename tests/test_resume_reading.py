"""A source that cannot be sought is read again up to where it was: that is shown, and can be stopped."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import typer
from killed_job import QUALITY, contents
from media_clips import make_clip
from stopped_runs import convert, stop
from typer.testing import CliRunner

from engines.style import DEFAULT_STYLE
from streamtoon import resuming
from streamtoon.cli.app import app
from streamtoon.cli.stopping import stoppable
from streamtoon.errors import UnfinishedError
from streamtoon.media import Source
from streamtoon.media.work import Part, Work
from streamtoon.pipeline import Progress

pytestmark = pytest.mark.usefixtures("short_parts")


@pytest.fixture(autouse=True)
def _from_the_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "INTERVAL", 0.0)
    monkeypatch.setattr(Source, "skip_to", lambda *_: pytest.fail("it has jumped"))


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its 10 bits go through a filter, whose memory a jump would lose."""
    folder = tmp_path_factory.mktemp("deep")
    return make_clip(folder / "deep.mkv", pts=[512 * n for n in range(60)], pixel_format="yuv420p10le")


def test_progress_counts_what_is_read_and_then_what_is_drawn(deep: Path, tmp_path: Path) -> None:
    expected, target = tmp_path / "whole.mp4", tmp_path / "part.mp4"
    seen: list[Progress] = []
    convert(deep, expected)
    kept = stop(deep, target)
    assert convert(deep, target, on_progress=seen.append).kept == kept
    reading = [each for each in seen if each.reading]
    assert seen[: len(reading)] == reading
    assert [each.frames for each in reading] == list(range(kept))
    assert {each.total for each in reading} == {kept}
    assert (seen[-1].frames, seen[-1].total, seen[-1].reading) == (60, 60, False)
    assert contents(target) == contents(expected)


def test_the_line_says_so(deep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamtoon.cli.progress.LINE_EVERY", 0.0)
    target = tmp_path / "out.mp4"
    stop(deep, target, style=DEFAULT_STYLE)
    done = CliRunner().invoke(app, ["video", str(deep), str(target), "--quality", QUALITY])
    assert done.exit_code == 0, done.output
    with_reading = [line for line in done.stderr.splitlines() if "reading" in line]
    assert with_reading
    for line in with_reading:
        assert line.startswith("deep.mkv: ") and "frames, " in line
        assert line.endswith(" (reading up to where it was)")
    assert "deep.mkv: 60/60 frames" in done.stderr


@pytest.mark.parametrize("signals", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("asked", [True, False], ids=["command", "python"])
def test_ctrl_c_while_reading(deep: Path, tmp_path: Path, asked: bool, signals: int) -> None:
    target = tmp_path / "out.mp4"

    def interrupt(progress: Progress) -> None:
        assert progress.reading, "drawing has begun"
        if progress.frames == 5:
            for _ in range(signals):
                signal.raise_signal(signal.SIGINT)
        assert progress.frames <= 5, "it goes on after Ctrl-C"

    stop(deep, target)
    before = _parts(target)
    if asked:
        with pytest.raises(typer.Exit) as ended, stoppable() as event:
            convert(deep, target, stop=event, on_progress=interrupt)
        assert ended.value.exit_code == 130
    else:
        with pytest.raises(UnfinishedError, match="the same command goes on from there"):
            convert(deep, target, on_progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4.unfinished"]
    assert _parts(target) == before
    assert convert(deep, target).frames_out == 60


def _parts(target: Path) -> list[Part]:
    with Work(target) as work:
        work.load()
        return work.parts
