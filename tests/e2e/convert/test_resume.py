"""Whatever stopped a conversion, the same one goes on from its last whole part, and nobody can tell."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from killed_job import QUALITY, SHORTEST, contents
from stopped_runs import convert, stop
from typer.testing import CliRunner

from streamtoon.cli.app import app
from streamtoon.errors import OutputError
from streamtoon.media import VideoReader
from streamtoon.media.segments import segments as parts
from streamtoon.media.writer.coded_frame import CodedFrame

pytestmark = pytest.mark.usefixtures("short_parts")


def test_parts_show_no_seam(uneven_clip: Path, uneven_cartoon: Path) -> None:
    source, cartoon = contents(uneven_clip), contents(uneven_cartoon)
    assert [item[:2] for item in cartoon] == [item[:2] for item in source]
    assert [item for item in cartoon if item[0] == "sound"] == [item for item in source if item[0] == "sound"]
    pictures = [(a, b) for a, b in zip(source, cartoon, strict=True) if a[0] == "picture"]
    assert all(a[2] != b[2] for a, b in pictures), "pictures that are not drawn"


def _same_in_two_runs(clip: Path, folder: Path, ending: str = ".mp4", **options: Any) -> None:
    """A run that is stopped and gone on with gives what one that is not gives."""
    expected, target = folder / f"whole{ending}", folder / f"part{ending}"
    convert(clip, expected, **options)
    kept = stop(clip, target, **options)
    report = convert(clip, target, **options)
    assert SHORTEST <= kept == report.kept < report.frames_out == report.frames_in
    assert contents(target) == contents(expected)
    assert not Path(f"{target}.unfinished").exists()


def _seeks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from the front and dropped."""
    monkeypatch.setattr(VideoReader, "skip", lambda *_: pytest.fail("read from the front"))


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".mov", ".ts", ".webm", ".avi", ".flv"])
def test_a_stopped_run_goes_on(
    uneven_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    _seeks(monkeypatch)
    _same_in_two_runs(uneven_clip, tmp_path, ending)


@pytest.mark.parametrize("codec", ["hevc", "av1", "ffv1", "mpeg4"])
def test_parts_of_every_codec_join(uneven_clip: Path, tmp_path: Path, codec: str) -> None:
    _same_in_two_runs(uneven_clip, tmp_path, ".mkv", codec=codec)


def test_a_cut_goes_on(uneven_clip: Path, tmp_path: Path) -> None:
    _same_in_two_runs(uneven_clip, tmp_path, start=0.7, end=3.4)


def test_the_source_beside_the_cartoon_goes_on(uneven_clip: Path, tmp_path: Path) -> None:
    _same_in_two_runs(uneven_clip, tmp_path, side_by_side=True)
    with VideoReader(tmp_path / "part.mp4") as cartoon, VideoReader(uneven_clip) as source:
        assert (cartoon.info.width, cartoon.info.height) == (2 * source.info.width, source.info.height)


def test_quality_auto_of_a_file_is_full(
    uneven_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow the machine is: nothing is measured, so that one folder's files look alike."""
    monkeypatch.setattr("engines.auto_quality._seconds_per_frame", lambda *_: pytest.fail("measured"))
    target = tmp_path / "out.mp4"
    kept = stop(uneven_clip, target, quality="auto")
    report = convert(uneven_clip, target, quality="full")
    assert (report.kept, report.engine.quality) == (kept, "full")


def test_what_is_written_over_stays_until_the_new_one_is_whole(
    uneven_clip: Path, uneven_cartoon: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"an old film")
    stop(uneven_clip, target, overwrite=True)

    def untouched(progress: object) -> None:
        assert target.read_bytes() == b"an old film"

    # Nothing is asked again of whoever has said it once, but without saying it nothing is written over.
    with pytest.raises(OutputError, match="already exists"):
        convert(uneven_clip, target)
    report = convert(uneven_clip, target, overwrite=True, on_progress=untouched)
    assert report.kept
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert contents(target) == contents(uneven_cartoon)


def test_wrong_pictures_after_a_jump_are_seen(
    uneven_clip: Path, uneven_cartoon: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "part.mp4"
    stop(uneven_clip, target)
    skip_to = VideoReader.skip_to
    monkeypatch.setattr(VideoReader, "skip_to", lambda self, n, pts, check: skip_to(self, n, pts, check ^ 1))
    assert convert(uneven_clip, target).kept
    assert contents(target) == contents(uneven_cartoon)


def test_a_folder_goes_on_with_what_is_missing(uneven_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "in" / name).write_bytes(uneven_clip.read_bytes())
    arguments = ["video", str(tmp_path / "in"), str(tmp_path / "out"), "--quality", QUALITY]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    (tmp_path / "out" / "b.mp4").unlink()
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, (tmp_path / "out" / "b.mp4").exists()) == (0, True), done.output
    assert "1 of 2 videos done already" in done.output


def test_decoding_times_of_joined_parts_grow_and_leave_room() -> None:
    dice = random.Random(0)
    for _ in range(200):
        spacing, depth, start = dice.choice([1, 512]), dice.randrange(4), 0
        coded: list[list[CodedFrame]] = []
        for _ in range(3):
            pts = [start + spacing * n for n in range(dice.randrange(depth + 2, 30))]
            start = pts[-1] + spacing
            early = spacing * dice.randrange(depth, depth + 3)
            order = sorted(pts, key=lambda time: (time != pts[0], time + spacing * dice.randrange(depth + 1)))
            assert order[0] == pts[0]
            coded.append([CodedFrame(p, d - early, 1, False, b"") for p, d in zip(order, pts, strict=True)])
        shown = [[each.pts for each in part] for part in coded]
        joined = list(parts.in_decoding_order(len(coded), shown.__getitem__, coded.__getitem__))
        assert [each.pts for each in joined] == [each.pts for part in coded for each in part]
        times = [each.dts for each in joined]
        assert all(b > a for a, b in pairwise(times))
        assert all(each.dts <= each.pts for each in joined)
