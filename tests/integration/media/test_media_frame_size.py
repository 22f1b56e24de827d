"""`--size`: what becomes of the frames, against Pillow and ffprobe."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ffprobe import streams
from media_clips import make_clip
from PIL import Image

from streamtoon.errors import InputError
from streamtoon.media import VideoReader, VideoWriter
from streamtoon.media.reader.frame_size import FrameSize


def _written(clip: Path, target: Path, size: str) -> dict[str, Any]:
    """ffprobe on a copy at that size."""
    with VideoReader(clip, size=FrameSize.parse(size)) as source, VideoWriter(target, source) as sink:
        for item in source:
            sink.write(item)
    (video,) = streams(target, "video")
    return video


@pytest.mark.parametrize(
    ("size", "seen", "becomes"),
    [
        ("720p", (1920, 1080), (1280, 720)),
        ("720p", (1080, 1920), (720, 1280)),
        ("480p", (1920, 1080), (854, 480)),
        ("240p", (2048, 858), (572, 240)),
        ("1080p", (640, 480), (1440, 1080)),
        ("640x480", (1920, 1080), (640, 480)),
        ("640X480", (1080, 1920), (640, 480)),
    ],
)
def test_one_number_keeps_the_shape_and_two_are_taken_as_they_are(
    size: str, seen: tuple[int, int], becomes: tuple[int, int]
) -> None:
    assert FrameSize.parse(size).seen(*seen) == becomes


@pytest.mark.parametrize("text", ["", "hd", "720", "0p", "8p", "721p", "99999p", "641x480", "640x", "-2x4"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        FrameSize.parse(text)


def test_a_smaller_frame_is_the_larger_one_as_pillow_shrinks_it(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", size=(320, 240), options={"crf": "1"}, audio=None)
    with VideoReader(clip) as source:
        whole = next(source.frames())
    for size, shape in (("120p", (160, 120)), ("160p", (214, 160))):
        with VideoReader(clip, size=FrameSize.parse(size)) as source:
            small = next(source.frames())
        wanted = np.asarray(Image.fromarray(whole.y).resize(shape, Image.Resampling.BICUBIC), float)
        assert small.y.shape == wanted.shape
        assert np.sqrt(np.mean((small.y - wanted) ** 2)) < 3


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.gif", "out.avi"])
def test_a_turned_video_has_the_size_as_it_is_seen(name: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "phone.mp4", size=(96, 64), rotation=90)
    video = _written(clip, tmp_path / name, "32p")
    turned = any("rotation" in each for each in video.get("side_data_list", ()))
    size = (video["width"], video["height"])
    assert (size[::-1] if turned else size) == (32, 48)
    assert turned == (name in ("out.mp4", "out.mkv"))


def test_pixels_become_square(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "dvd.mp4", size=(64, 48), aspect=Fraction(3, 2))
    video = _written(clip, tmp_path / "out.mp4", "32p")
    assert (video["width"], video["height"]) == (64, 32)
    assert video.get("sample_aspect_ratio", "1:1") == "1:1"


def test_colors_stay_where_players_guess_by_the_size(tmp_path: Path) -> None:
    """HD without tags is BT.709 to a player; the same frames at 480 lines would be BT.601."""
    clip = make_clip(tmp_path / "hd.mp4", size=(1280, 720), pts=[0, 512], audio=None)
    assert _written(clip, tmp_path / "small.mp4", "480p").get("color_space") == "bt709"
    assert _written(clip, tmp_path / "same.mp4", "1080p").get("color_space", "unknown") == "unknown"


def test_what_is_stretched_or_enlarged_is_said(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", size=(64, 48))
    said = {}
    for size in ("32p", "64x64", "96p"):
        with VideoReader(clip, size=FrameSize.parse(size)) as source:
            said[size] = " ".join(source.warnings)
    assert said["32p"] == ""
    assert "stretched" in said["64x64"] and "--size 64p" in said["64x64"]
    assert "enlarged from 64x48 to 128x96" in said["96p"]


def test_a_size_beyond_the_limit_is_one_sentence(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "wide.mp4", size=(640, 32))
    with pytest.raises(InputError, match="limit"):
        VideoReader(clip, size=FrameSize.parse("4000p"))
