"""Colours arrive as they left: tags, ranges, bit depths and layouts of all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_clips import convert, facts, make_clip, scene, yuv_frames

from engines.frame import ColorInfo
from streamtoon.media import VideoReader, probe
from streamtoon.media.color import ColorTags, color_info, delivered_tags


def difference(a: Path, b: Path) -> float:
    """Mean absolute difference over all planes of all pictures, in code values."""
    pairs = zip(yuv_frames(a), yuv_frames(b), strict=True)
    return float(
        np.mean([np.abs(p.astype(int) - q).mean() for x, y in pairs for p, q in zip(x, y, strict=True)])
    )


@pytest.mark.parametrize(
    "tags",
    [(1, 1, 1, 1), (6, 1, 6, 6), (5, 1, 5, 5), (9, 1, 9, 14), (1, 2, 1, 13), (2, 0, 2, 2), (2, 2, 2, 2)],
)
@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv"])
def test_tags_are_kept_and_nothing_is_made_up(
    tmp_path: Path, tags: tuple[int, int, int, int], extension: str
) -> None:
    source = make_clip(tmp_path / "in.mp4", tags=tags, audio=None)
    convert(source, tmp_path / f"out{extension}")
    assert facts(tmp_path / f"out{extension}").tags == facts(source).tags == tags


@pytest.mark.parametrize("tags", [(1, 1, 1, 1), (1, 2, 1, 1), (2, 0, 2, 2)])
def test_pictures_come_back_within_one_code_value(tmp_path: Path, tags: tuple[int, int, int, int]) -> None:
    source = make_clip(tmp_path / "in.mp4", tags=tags, audio=None, size=(96, 64))
    convert(source, tmp_path / "out.mp4", crf=4)
    assert difference(source, tmp_path / "out.mp4") < 1


def test_plain_frames_are_passed_bit_by_bit_and_read_only(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", size=(98, 50), audio=None)
    with VideoReader(source) as opened:
        pictures = list(opened.frames())
    for picture, planes in zip(pictures, yuv_frames(source), strict=True):
        assert all(
            np.array_equal(a, b) for a, b in zip((picture.y, picture.u, picture.v), planes, strict=True)
        )
        assert not picture.y.flags.writeable
        assert picture.y.base is not None  # a view


@pytest.mark.parametrize(
    "pixel_format", ["yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray", "gray10le"]
)
def test_other_layouts_become_420_with_the_same_colors(tmp_path: Path, pixel_format: str) -> None:
    # FFV1 loses nothing, so the mean of each plane can be compared with the 4:2:0 that is delivered.
    source = make_clip(
        tmp_path / "in.mkv",
        codec="ffv1",
        pixel_format=pixel_format,
        audio=None,
        pts=[0, 512],
        tags=(1, 1, 1, 1),
    )
    with av.open(str(source)) as file:
        frame = next(file.decode(video=0))
        bits = frame.format.components[0].bits
        dtype = np.uint8 if bits == 8 else np.dtype("<u2")
        means = [
            np.frombuffer(memoryview(p), dtype).reshape(p.height, -1)[:, : p.width].mean() / 2 ** (bits - 8)
            for p in frame.planes
        ]
    with VideoReader(source) as opened:
        picture = next(opened.frames())
        list(opened)
    assert picture.y.shape == (48, 64)
    assert picture.u.shape == (24, 32)
    expected = means if len(means) == 3 else [means[0], 128, 128]
    for plane, mean in zip((picture.y, picture.u, picture.v), expected, strict=True):
        assert abs(plane.mean() - mean) < 0.75
    assert any("10 bits" in w for w in opened.warnings) == (bits == 10)


def test_chroma_of_444_is_averaged_in_place(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", codec="ffv1", pixel_format="yuv444p", audio=None, pts=[0])
    full = yuv_frames(source)[0][1].astype(float)
    with VideoReader(source) as opened:
        u = next(opened.frames()).u
    blocks = full.reshape(24, 2, 32, 2).mean((1, 3))
    assert np.abs(u - blocks).mean() < 2


@pytest.mark.parametrize(("alpha", "expected"), [(255, 200), (128, 100), (0, 0)])
def test_transparent_parts_are_laid_over_black(tmp_path: Path, alpha: int, expected: int) -> None:
    with av.open(str(tmp_path / "in.mkv"), "w") as out:
        stream: Any = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "bgra"
        pixels = np.full((32, 32, 4), (200, 200, 200, alpha), np.uint8)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "bgra")))
        out.mux(stream.encode(None))
    with VideoReader(tmp_path / "in.mkv") as opened:
        picture = next(opened.frames())
    grey = (picture.y.astype(float) - 16) / 219 * 255
    assert np.abs(grey - expected).max() < 2


def test_gif_becomes_video_with_its_colors(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "in.mkv", codec="ffv1", pixel_format="bgr0", audio=None, pts=[0], size=(64, 48)
    )
    with VideoReader(source) as opened:
        picture = next(opened.frames())
        assert opened.info.color == ColorInfo("bt709", False, 2, 2)
    rgb = scene(64, 48, 0).astype(float)
    luma = 16 + (rgb @ [0.2126, 0.7152, 0.0722]) * 219 / 255
    assert np.abs(picture.y - luma).mean() < 1


def test_a_gif_goes_out_and_comes_in(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", audio=None, tags=(1, 1, 1, 1))
    warnings, written = convert(source, tmp_path / "out.gif")
    assert (written.video_codec, written.frames, warnings) == ("gif", 25, [])
    assert facts(tmp_path / "out.gif").times == facts(source).times
    with av.open(str(tmp_path / "out.gif")) as file:
        pixels = next(file.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.abs(pixels - scene(64, 48, 0)).mean() < 12  # 256 colours, 4:2:0


def test_untagged_video_is_read_as_players_read_it() -> None:
    assert color_info(ColorTags(), 480).matrix == "bt601"
    assert color_info(ColorTags(), 720).matrix == "bt709"
    assert color_info(ColorTags(matrix=9), 480).matrix == "bt2020"
    assert delivered_tags("yuvj420p", ColorTags()).range == 2
    assert delivered_tags("yuv420p", ColorTags()) == ColorTags()
    assert delivered_tags("yuv420p10le", ColorTags(9, 1, 9, 16)) == ColorTags(1, 1, 1, 1)


def test_probe_states_the_facts(tmp_path: Path) -> None:
    info = probe(make_clip(tmp_path / "in.mp4", tags=(1, 2, 1, 1), pixel_format="yuv444p"))
    assert (info.width, info.height, info.frames, info.rate) == (64, 48, 25, 25)
    assert (info.video_codec, info.audio_codecs, info.pixel_format) == ("h264", ("aac",), info.pixel_format)
    assert info.color == ColorInfo("bt709", True, 1, 1)
    assert info.duration == 1.0
