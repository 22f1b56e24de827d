"""Killed at any moment, or on a disk that becomes full, the same conversion goes on and loses nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from killed_job import contents, fill_once, kill_once
from media_clips import make_clip
from stopped_runs import convert

from streamtoon.convert import video
from streamtoon.errors import OutputError, UnfinishedError
from streamtoon.media.segments.packet_store import PacketStore

pytestmark = pytest.mark.usefixtures("short_parts")


def test_killed_at_any_moment(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "long.mp4", size=(128, 96), pts=[512 * n for n in range(250)])
    whole, dice, killed = tmp_path / "whole.mp4", random.Random(0), 0
    convert(clip, whole)
    expected = contents(whole)
    for job in range(5):
        target = tmp_path / f"{job}.mp4"
        killed += kill_once(clip, target, after=dice.randrange(250), more=0)
        convert(clip, target, overwrite=True)
        assert contents(target) == expected
        target.unlink()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["long.mp4", "whole.mp4"]
    assert killed


@pytest.mark.parametrize(
    "share, place", [(0.3, "the first part"), (0.7, "a later part"), (1.6, "the file of all parts")]
)
def test_a_disk_that_becomes_full(
    uneven_clip: Path, uneven_cartoon: Path, tmp_path: Path, share: float, place: str
) -> None:
    try:
        size = round(share * uneven_cartoon.stat().st_size / 1024)
        full, result = fill_once(uneven_clip, tmp_path / "disk", size)
    except OSError as error:
        pytest.skip(f"a disk to fill cannot be mounted here: {error}")
    assert full == place
    assert contents(result) == contents(uneven_cartoon)


def test_killed_when_the_file_is_there(
    uneven_clip: Path, uneven_cartoon: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.mp4"
    with monkeypatch.context() as broken:
        broken.setattr(PacketStore, "discard", lambda self: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception, match="killed"):
            convert(uneven_clip, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4", "out.mp4.unfinished"]
    with pytest.raises(OutputError, match="already exists"):
        convert(uneven_clip, target)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert contents(target) == contents(uneven_cartoon)


def test_killed_while_joining(
    uneven_clip: Path, uneven_cartoon: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.mp4"
    with monkeypatch.context() as broken:

        def fail(*_: object) -> None:
            raise KeyboardInterrupt

        broken.setattr(video, "join", fail)
        with pytest.raises(UnfinishedError, match="100 of about 100 frames are finished"):
            convert(uneven_clip, target)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4.unfinished"]
    report = convert(uneven_clip, target)
    assert (report.kept, report.frames_out, report.engine.style) == (100, 100, "comic")
    assert contents(target) == contents(uneven_cartoon)
