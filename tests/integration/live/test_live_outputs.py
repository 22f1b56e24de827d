"""Where live pictures go: recordings and virtual cameras."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from media_clips import make_clip

from engines.frame import ColorInfo, Frame
from streamtoon.errors import OutputError
from streamtoon.live.virtual_camera import i420
from streamtoon.media import MediaInfo, VideoReader
from streamtoon.media.devices.capture import live_info
from streamtoon.media.writer.recorder import Recording


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[MediaInfo, list[Frame]]:
    """As a camera gives them: at any time, some missing, the first of them long after the start."""
    clip = make_clip(tmp_path / "in.mp4", audio=None)
    with VideoReader(clip) as source:
        info, found = live_info(source.info), list(source.frames())
    times = [7_000_123, 7_040_200, 7_079_999, 7_200_007, 7_241_000, 9_000_001, 9_040_000]
    micro = Fraction(1, 1_000_000)
    return info, [
        replace(picture, pts=pts, time_base=micro, duration=0)
        for picture, pts in zip(found, times, strict=False)
    ]


def _frames(path: Path) -> list[dict[str, Any]]:
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_frames", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    frames: list[dict[str, Any]] = json.loads(done.stdout)["frames"]
    return frames


@pytest.mark.parametrize(("suffix", "step"), [(".mp4", 1e-6), (".mkv", 1e-3), (".mov", 1e-6)])
def test_a_recording_has_the_times_at_which_pictures_came(
    tmp_path: Path, pictures: tuple[MediaInfo, list[Frame]], suffix: str, step: float
) -> None:
    info, items = pictures
    path = tmp_path / f"out{suffix}"
    recording = Recording(path, info)
    for item in items:
        recording.write(item)
    assert not path.exists()
    assert recording.finish()
    times = [float(frame["pts_time"]) for frame in _frames(path)]
    expected = [(item.pts - items[0].pts) / 1e6 for item in items]
    assert np.abs(np.subtract(times, expected)).max() <= step
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(["in.mp4", path.name])


def test_a_recording_without_a_picture_is_none(
    tmp_path: Path, pictures: tuple[MediaInfo, list[Frame]]
) -> None:
    recording = Recording(tmp_path / "out.mp4", pictures[0])
    assert not recording.finish()
    assert [entry.name for entry in tmp_path.iterdir()] == ["in.mp4"]


def test_what_is_there_is_not_written_over(tmp_path: Path, pictures: tuple[MediaInfo, list[Frame]]) -> None:
    (tmp_path / "out.mp4").write_text("mine")
    with pytest.raises(OutputError, match="Use --overwrite to replace it"):
        Recording(tmp_path / "out.mp4", pictures[0])
    assert (tmp_path / "out.mp4").read_text() == "mine"


def test_a_virtual_camera_gets_limited_range_and_even_sizes() -> None:
    dice = np.random.default_rng(1)
    y, u, v = (dice.integers(0, 256, shape, np.uint8) for shape in ((31, 41), (16, 21), (16, 21)))
    full = Frame(y, u, v, 0, Fraction(1), color=ColorInfo("bt601", full_range=True))
    frame = i420(full, 40, 30).reshape(45, 40)
    # OpenCV reads I420 as BT.601 in limited range; the source by the full-range formula of JPEG (JFIF).
    given = cv2.cvtColor(frame, cv2.COLOR_YUV2RGB_I420).astype(float)
    cb, cr = (np.repeat(np.repeat(c, 2, 0), 2, 1)[:30, :40] - 128.0 for c in (u, v))
    luma = y[:30, :40].astype(float)
    rgb = [luma + 1.402 * cr, luma - 0.344136 * cb - 0.714136 * cr, luma + 1.772 * cb]
    assert np.abs(given - np.clip(np.stack(rgb, -1), 0, 255)).max() <= 4
    limited = replace(full, color=ColorInfo("bt601"))
    assert (i420(limited, 40, 30)[: 40 * 30].reshape(30, 40) == y[:30, :40]).all()
