"""`video` and still images: an animation is drawn whole, a photo is said to be one before the work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ffprobe import ffprobe, streams, times
from PIL import Image
from typer.testing import CliRunner

from streamtoon import Cartoonizer
from streamtoon.cli.app import app
from streamtoon.errors import InputError
from streamtoon.media import VideoReader

DURATIONS = [100, 40, 300, 20, 1000, 60]
TIMES = [0.0, 0.1, 0.14, 0.44, 0.46, 1.46]


def frames(mode: str) -> list[Image.Image]:
    dice = np.random.default_rng(0)
    channels = len(mode)
    shape = (6, 9, channels)
    return [Image.fromarray(dice.integers(0, 256, shape, np.uint8)).resize((180, 120)) for _ in DURATIONS]


def animation(path: Path, mode: str = "RGB") -> Path:
    first, *others = frames(mode)
    first.save(path, save_all=True, append_images=others, duration=DURATIONS)
    return path


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_an_animated_avif_is_drawn_whole(tmp_path: Path, suffix: str) -> None:
    source, target = animation(tmp_path / "in.avif"), tmp_path / f"out.{suffix}"
    with Cartoonizer(quality="lite") as cartoonizer:
        report = cartoonizer.video(source, target)
    assert (report.frames_in, report.frames_out) == (6, 6)
    assert len(streams(target, "video")) == 1  # and not the still one, or the source's
    assert times(target, "v:0") == pytest.approx(TIMES, abs=0.0011)
    found = ffprobe(target, "-count_frames", "-select_streams", "v", "-show_streams")
    assert found["streams"][0]["nb_read_frames"] == "6"


def test_one_with_transparent_parts_is_left_to_image(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="transparency"):
        VideoReader(animation(tmp_path / "in.avif", "RGBA"))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.avif", "a.webp", "a.bmp", "a.tif", "named.mp4"])
def test_a_photo_is_no_video(tmp_path: Path, name: str) -> None:
    form = "PNG" if name == "named.mp4" else None
    frames("RGB")[0].save(tmp_path / name, form)
    done = CliRunner().invoke(app, ["video", str(tmp_path / name), str(tmp_path / "out.mkv")])
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1 and "still image" in done.stderr and "streamtoon image" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
