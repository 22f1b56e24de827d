"""Size, shape and orientation: what a viewer sees keeps its place."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_clips import convert, facts, luma_frames, make_clip, scene

from engines.frame import Frame
from streamtoon.errors import InputError
from streamtoon.media import VideoReader, VideoWriter, probe
from streamtoon.media.orientation import Orientation
from streamtoon.media.reader.opening import check_size
from streamtoon.media.side_by_side import side_by_side


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv", ".webm"])
def test_rotation_stays_a_display_matrix(tmp_path: Path, degrees: int, extension: str) -> None:
    source = make_clip(tmp_path / "in.mov", rotation=degrees, audio=None, pts=[0, 512])
    convert(source, tmp_path / f"out{extension}")
    before, after = facts(source), facts(tmp_path / f"out{extension}")
    assert after.rotation == before.rotation
    assert after.rotation % 360 == degrees
    assert after.size == before.size


@pytest.mark.parametrize(("degrees", "turns"), [(90, 1), (180, 2), (270, 3)])
def test_containers_without_rotation_get_turned_pictures(tmp_path: Path, degrees: int, turns: int) -> None:
    source = make_clip(tmp_path / "in.mov", rotation=degrees, audio=None, pts=[0, 512], options={"crf": "4"})
    warnings, written = convert(source, tmp_path / "out.ts", crf=4)
    upright = np.rot90(luma_frames(source)[0], turns)
    assert (written.height, written.width) == upright.shape
    assert np.abs(luma_frames(tmp_path / "out.ts")[0].astype(int) - upright).mean() < 1
    assert any("rotated" in w for w in warnings)


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (90, 1), (180, 2), (270, 3)])
def test_side_by_side_is_so_for_who_sees_the_turned_picture(tmp_path: Path, degrees: int, turns: int) -> None:
    with VideoReader(make_clip(tmp_path / "in.mov", rotation=degrees, audio=None, pts=[0, 512])) as source:
        picture = next(source.frames())
        negative = replace(picture, y=255 - picture.y)
        joined = side_by_side(picture, negative, Orientation.of(source.info.display_matrix).right)
    seen = np.rot90(joined.y, turns)
    left, right = np.hsplit(seen, 2)
    np.testing.assert_array_equal(left, np.rot90(picture.y, turns))
    np.testing.assert_array_equal(right, np.rot90(negative.y, turns))


def test_a_mirrored_display_matrix_is_kept_and_can_be_applied(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "in.mov"), "w") as out:
        stream: Any = out.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        stream.set_display_rotation(90, hflip=True)
        frame = av.VideoFrame.from_ndarray(scene(64, 48, 0), "rgb24")
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    matrix = probe(tmp_path / "in.mov").display_matrix
    convert(tmp_path / "in.mov", tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").display_matrix == matrix
    assert Orientation.of(matrix).transpose


def test_orientations_follow_the_matrix() -> None:
    one = 65536
    plane = np.arange(6, dtype=np.uint8).reshape(2, 3)
    clockwise = Orientation.of((0, one, 0, -one, 0, 0, 0, 0, 1 << 30))
    assert np.array_equal(clockwise.apply(plane), np.rot90(plane, -1))
    assert clockwise.size(3, 2) == (2, 3)
    mirrored = Orientation.of((-one, 0, 0, 0, one, 0, 0, 0, 1 << 30))
    assert np.array_equal(mirrored.apply(plane), plane[:, ::-1])
    assert Orientation.of(None) == Orientation.of((one, 0, 0, 0, one, 0, 0, 0, 1 << 30)) == Orientation()


@pytest.mark.parametrize("extension", [".mp4", ".mkv", ".ts"])
def test_pixel_shape_is_kept(tmp_path: Path, extension: str) -> None:
    source = make_clip(tmp_path / "in.mp4", aspect=Fraction(16, 15), audio=None)
    convert(source, tmp_path / f"out{extension}")
    assert facts(tmp_path / f"out{extension}").video.aspect == Fraction(16, 15)


def test_where_no_pixel_shape_can_be_stored_pixels_become_square(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", size=(60, 48), aspect=Fraction(4, 3), audio=None, pts=[0, 512])
    warnings, written = convert(source, tmp_path / "out.webm")
    assert (written.width, written.height) == (80, 48)
    assert any("square pixels" in w for w in warnings)


@pytest.mark.parametrize("size", [(65, 48), (64, 49), (65, 49)])
def test_odd_sizes_are_padded_by_the_last_row_and_column(tmp_path: Path, size: tuple[int, int]) -> None:
    source = make_clip(tmp_path / "in.mkv", codec="ffv1", size=size, audio=None, pts=[0, 512])
    warnings, written = convert(source, tmp_path / "out.mp4", crf=2)
    width, height = size
    assert (written.width, written.height) == (width + width % 2, height + height % 2)
    assert sum("even size" in w for w in warnings) == 1
    before, after = luma_frames(source)[0], luma_frames(tmp_path / "out.mp4")[0]
    assert np.abs(after[:height, :width].astype(int) - before).mean() < 1.5
    assert np.abs(after[-1].astype(int) - after[height - 1]).mean() < 4
    assert np.abs(after[:, -1].astype(int) - after[:, width - 1]).mean() < 4


def test_vp9_keeps_an_odd_size(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", codec="ffv1", size=(65, 49), audio=None, pts=[0, 512])
    warnings, _ = convert(source, tmp_path / "out.webm")
    assert facts(tmp_path / "out.webm").size == (65, 49)
    assert not any("even" in w for w in warnings)


def test_a_wider_picture_can_be_announced(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", audio=None)
    with (
        VideoReader(source) as opened,
        VideoWriter(tmp_path / "out.mp4", opened, width=128, height=48) as sink,
    ):
        for picture in opened.frames():
            y, u, v = (np.concatenate([p, p], 1) for p in (picture.y, picture.u, picture.v))
            sink.write(Frame(y, u, v, picture.pts, picture.time_base, picture.duration, picture.color))
    assert facts(tmp_path / "out.mp4").size == (128, 48)
    assert facts(tmp_path / "out.mp4").times == facts(source).times


def test_a_size_that_changes_on_the_way_is_brought_to_the_first(tmp_path: Path) -> None:
    for name, size in (("a", (64, 48)), ("b", (96, 80))):
        make_clip(tmp_path / f"{name}.h264", size=size, audio=None, options={"bf": "0"}, pts=[0, 512, 1024])
    joined = tmp_path / "in.h264"
    joined.write_bytes((tmp_path / "a.h264").read_bytes() + (tmp_path / "b.h264").read_bytes())
    warnings, written = convert(joined, tmp_path / "out.mp4")
    assert (written.width, written.height, written.frames) == (64, 48, 6)
    assert sum("size or format of the frames changes" in w for w in warnings) == 1
    assert facts(tmp_path / "out.mp4").times == [Fraction(n, 25) for n in range(6)]


@pytest.mark.parametrize(("width", "height"), [(0, 48), (16385, 16), (16384, 16384)])
def test_absurd_sizes_are_refused(width: int, height: int) -> None:
    with pytest.raises(InputError, match=r"limit is 16384|unknown"):
        check_size(width, height, "film.mp4")


@pytest.mark.parametrize("order", ["tff", "bff"])
@pytest.mark.parametrize("count", [1, 2, 9])
def test_interlaced_frames_come_out_one_for_one_and_progressive(
    tmp_path: Path, order: str, count: int
) -> None:
    times = [700 + 512 * n for n in range(count)]
    source = tmp_path / "in.mp4"
    with av.open(str(source), "w") as out:
        options = {"x264-params": f"{order}=1", "crf": "4", "bf": "0"}
        stream: Any = out.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.time_base = stream.time_base = Fraction(1, 12800)
        for n, time in enumerate(times):
            frame = av.VideoFrame(64, 64, "yuv420p")
            y, u, v = (np.frombuffer(memoryview(p), np.uint8).reshape(p.height, -1) for p in frame.planes)
            u[:], v[:], y[:] = 128, 128, 60
            y[0::2, 8 + 4 * n : 24 + 4 * n] = 200  # the two fields show the bar at two places
            y[1::2, 10 + 4 * n : 26 + 4 * n] = 200
            frame.pts, frame.time_base = time, Fraction(1, 12800)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert probe(source).interlaced
    warnings, _ = convert(source, tmp_path / "out.mp4", crf=4)
    before, after = facts(source), facts(tmp_path / "out.mp4")
    assert after.times == before.times
    assert not after.interlaced
    assert sum("interlaced" in w for w in warnings) == 1

    def combing(path: Path) -> float:
        lumas = [luma.astype(int) for luma in luma_frames(path)]
        return float(
            np.mean([np.abs(luma[1:-1:2] - (luma[:-2:2] + luma[2::2]) / 2).mean() for luma in lumas])
        )

    if count > 1:  # a lone frame has no neighbour to learn from
        assert combing(tmp_path / "out.mp4") < combing(source) / 3
