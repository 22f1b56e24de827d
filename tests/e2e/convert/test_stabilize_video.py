"""`streamtoon video --stabilize`: each segment for itself, in the order of its frames."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from killed_job import LONGEST, SHORTEST
from media_clips import make_clip
from typer.testing import CliRunner

from engines.imaging.temporal_filter import Stabilizer
from streamtoon.api import Cartoonizer
from streamtoon.cli.app import app
from streamtoon.errors import UnfinishedError
from streamtoon.media import VideoReader
from streamtoon.media.segments import segments as parts


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MIN_SEGMENT_FRAMES", SHORTEST)
    monkeypatch.setattr(parts, "MAX_SEGMENT_FRAMES", LONGEST)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pts = [512 * n for n in range(80)]
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", pts=pts, options={"g": "17"})


class _AfterParts(threading.Event):
    """Is set once it has been looked at so often: once at the start, and once after every part."""

    def __init__(self, parts: int) -> None:
        super().__init__()
        self._left = parts + 1

    def is_set(self) -> bool:
        self._left -= 1
        return self._left <= 0


def _convert(style: Path, source: Path, target: Path, stabilize: float, stop: int | None = None) -> None:
    with Cartoonizer(style, quality="full") as cartoonizer:
        event = None if stop is None else _AfterParts(stop)
        cartoonizer.video(source, target, stabilize=stabilize, codec="ffv1", stop=event)


def _luma(path: Path) -> list[np.ndarray]:
    with VideoReader(path) as source:
        return [picture.y.copy() for picture in source.frames()]


def test_it_is_a_stabilizer_for_each_segment(tmp_path: Path, clip: Path, style_folder: Path) -> None:
    _convert(style_folder, clip, tmp_path / "plain.mkv", 0)
    _convert(style_folder, clip, tmp_path / "steady.mkv", 0.8)
    expected, steady, length = [], Stabilizer(0.8), 0
    with VideoReader(clip) as sources, VideoReader(tmp_path / "plain.mkv") as cartoons:
        for source, cartoon in zip(sources.frames(), cartoons.frames(), strict=True):
            if length == LONGEST or (length >= SHORTEST and source.is_key):
                steady, length = Stabilizer(0.8), 0
            expected.append(steady(source, cartoon).y)
            length += 1
    assert length < len(expected), "the clip has several segments"
    given = _luma(tmp_path / "steady.mkv")
    assert all((a == b).all() for a, b in zip(given, expected, strict=True))
    assert any((a != b).any() for a, b in zip(given, _luma(tmp_path / "plain.mkv"), strict=True))


@pytest.mark.parametrize("after", [1, 2, 3])
def test_an_interrupted_run_gives_the_very_same_file(
    tmp_path: Path, clip: Path, style_folder: Path, after: int
) -> None:
    _convert(style_folder, clip, tmp_path / "whole.mkv", 0.8)
    with pytest.raises(UnfinishedError):
        _convert(style_folder, clip, tmp_path / "out.mkv", 0.8, stop=after)
    _convert(style_folder, clip, tmp_path / "out.mkv", 0.8)
    whole, joined = (_luma(tmp_path / name) for name in ("whole.mkv", "out.mkv"))
    assert all((a == b).all() for a, b in zip(whole, joined, strict=True))


def test_the_source_beside_it_stays_as_it_is(tmp_path: Path, clip: Path, style_folder: Path) -> None:
    options = ["--stabilize", "1", "--side-by-side", "--codec", "ffv1", "--style", str(style_folder)]
    done = CliRunner().invoke(app, ["video", str(clip), str(tmp_path / "both.mkv"), *options])
    assert done.exit_code == 0, done.output
    _convert(style_folder, clip, tmp_path / "steady.mkv", 1)
    both, steady, source = _luma(tmp_path / "both.mkv"), _luma(tmp_path / "steady.mkv"), _luma(clip)
    width = source[0].shape[1]
    assert all((a[:, :width] == b).all() for a, b in zip(both, source, strict=True))
    assert all((a[:, width:] == b).all() for a, b in zip(both, steady, strict=True))


def test_an_amount_out_of_range_is_refused(clip: Path, tmp_path: Path, style_folder: Path) -> None:
    with Cartoonizer(style_folder) as cartoonizer, pytest.raises(ValueError, match="must be 0 to 1"):
        cartoonizer.video(clip, tmp_path / "out.mp4", stabilize=1.5)
