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

from engines.registry.style import DEFAULT_STYLE
from streamtoon.cli.app import app
from streamtoon.cli.graceful_stop import stoppable
from streamtoon.convert.resume import resume as resuming
from streamtoon.errors import UnfinishedError
from streamtoon.media import VideoReader
from streamtoon.media.segments.packet_store import PacketStore, Segment
from streamtoon.pipeline.run import Progress

pytestmark = pytest.mark.usefixtures("short_parts")


@pytest.fixture(autouse=True)
def _from_the_front(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "PROGRESS_INTERVAL_S", 0.0)
    monkeypatch.setattr(VideoReader, "skip_to", lambda *_: pytest.fail("it has jumped"))


@pytest.fixture(scope="module")
def interlaced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its frames go through a filter that looks at those around them, whose memory a jump would lose."""
    folder = tmp_path_factory.mktemp("interlaced")
    options = {"x264-params": "tff=1"}
    return make_clip(folder / "woven.mkv", pts=[512 * n for n in range(60)], options=options)


def test_progress_counts_what_is_read_and_then_what_is_drawn(interlaced: Path, tmp_path: Path) -> None:
    expected, target = tmp_path / "whole.mp4", tmp_path / "part.mp4"
    seen: list[Progress] = []
    convert(interlaced, expected)
    kept = stop(interlaced, target)
    assert convert(interlaced, target, on_progress=seen.append).kept == kept
    reading = [each for each in seen if each.reading]
    assert seen[: len(reading)] == reading
    assert [each.frames for each in reading] == list(range(kept))
    assert {each.total for each in reading} == {kept}
    assert (seen[-1].frames, seen[-1].total, seen[-1].reading) == (60, 60, False)
    assert contents(target) == contents(expected)


def test_the_line_says_so(interlaced: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamtoon.cli.progress.LINE_INTERVAL_S", 0.0)
    target = tmp_path / "out.mp4"
    stop(interlaced, target, style=DEFAULT_STYLE)
    done = CliRunner().invoke(app, ["video", str(interlaced), str(target), "--quality", QUALITY])
    assert done.exit_code == 0, done.output
    with_reading = [line for line in done.stderr.splitlines() if "reading" in line]
    assert with_reading
    for line in with_reading:
        assert line.startswith("woven.mkv: ") and "frames, " in line
        assert line.endswith(" (reading up to where the last run stopped)")
    assert "woven.mkv: 60/60 frames" in done.stderr


@pytest.mark.parametrize("signals", [1, 2], ids=["once", "twice"])
@pytest.mark.parametrize("asked", [True, False], ids=["command", "python"])
def test_ctrl_c_while_reading(interlaced: Path, tmp_path: Path, asked: bool, signals: int) -> None:
    target = tmp_path / "out.mp4"

    def interrupt(progress: Progress) -> None:
        assert progress.reading, "drawing has begun"
        if progress.frames == 5:
            for _ in range(signals):
                signal.raise_signal(signal.SIGINT)
        assert progress.frames <= 5, "it goes on after Ctrl-C"

    stop(interlaced, target)
    before = _parts(target)
    if asked:
        with pytest.raises(typer.Exit) as ended, stoppable() as event:
            convert(interlaced, target, stop=event, on_progress=interrupt)
        assert ended.value.exit_code == 130
    else:
        with pytest.raises(UnfinishedError, match="run the same command to resume"):
            convert(interlaced, target, on_progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4.unfinished"]
    assert _parts(target) == before
    assert convert(interlaced, target).frames_out == 60


def _parts(target: Path) -> list[Segment]:
    with PacketStore(target) as work:
        work.load()
        return work.parts
