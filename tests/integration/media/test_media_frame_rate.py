"""`--fps`: which frames are shown and when, against libavfilter's own `fps`, and by ffprobe."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.filter import Graph
from ffprobe import streams, times
from media_clips import make_clip
from stopped_runs import convert, stop

from engines.frame import Frame
from streamtoon.errors import OutputError
from streamtoon.media import VideoReader, VideoWriter, probe
from streamtoon.media.reader.frame_rate import MAX_FPS, MIN_FPS, parse_rate

UNEVEN = [0, 512, 700, 2000, 2048, 2100, 5120, 5632, 9000, 9100, 9200, 9300, 12800, 15000, 15360]
"""In 1/12800 s."""


def _given(path: Path, **options: Any) -> list[Frame]:
    with VideoReader(path, **options) as source:
        return list(source.frames())


def _by_libavfilter(path: Path, rate: str) -> list[tuple[Fraction, int]]:
    """(seconds, CRC) of each frame that the filter `fps` gives."""
    info = probe(path)
    graph = Graph()
    steps = [
        graph.add(
            "buffer",
            video_size=f"{info.width}x{info.height}",
            pix_fmt="yuv420p",
            time_base=str(info.time_base),
            pixel_aspect="1/1",
        ),
        graph.add("fps", fps=rate),
        graph.add("buffersink"),
    ]
    graph.link_nodes(*steps).configure()
    found: list[tuple[Fraction, int]] = []

    def pull() -> None:
        while True:
            try:
                frame: Any = graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            planes = [
                np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, -1)[:, : plane.width]
                for plane in frame.planes
            ]
            picture = Frame(planes[0], planes[1], planes[2], 0, Fraction(1))
            found.append((frame.pts * frame.time_base, picture.check()))

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            graph.vpush(frame)
            pull()
    graph.vpush(None)
    pull()
    return found


@pytest.mark.parametrize("rate", ["10", "24", "25", "60", "30000/1001", "7", "12.5"])
@pytest.mark.parametrize("pts", [None, UNEVEN], ids=["even", "uneven"])
def test_the_frames_are_those_that_ffmpeg_chooses(rate: str, pts: list[int] | None, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", pts=pts, options={"bf": "0"})
    ours = [(each.pts * each.time_base, each.check()) for each in _given(clip, fps=parse_rate(rate))]
    assert ours == _by_libavfilter(clip, rate)


def test_each_frame_lasts_one_step_and_the_length_stays(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", pts=UNEVEN)
    length = sum(each.duration * each.time_base for each in _given(clip))
    for rate in (Fraction(5), Fraction(24000, 1001), Fraction(100)):
        given = _given(clip, fps=rate)
        assert {each.duration * each.time_base for each in given} == {1 / rate}
        assert abs(len(given) / rate - length) <= 1 / rate / 2


def test_the_shortest_video_has_one_frame(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", pts=[0, 100, 200], audio=None)
    (only,) = _given(clip, fps=Fraction(1, 2))
    assert (only.pts, only.duration * only.time_base) == (0, 2)


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.avi", "out.gif", "out.ts", "out.webm"])
def test_other_readers_see_the_rate_and_the_sound_stays(name: str, tmp_path: Path) -> None:
    clip, target = make_clip(tmp_path / "clip.mp4", rate=Fraction(50)), tmp_path / name
    with VideoReader(clip, fps=Fraction(20)) as source, VideoWriter(target, source) as sink:
        for item in source:
            sink.write(item)
    (video,) = streams(target, "video")
    assert Fraction(video["avg_frame_rate"]) == 20
    seen = times(target, "v:0")
    assert np.allclose(np.diff(seen), 1 / 20, atol=0.0011)
    assert len(seen) == 10  # half a second
    if name in ("out.mp4", "out.mkv"):
        assert times(target, "a:0") == pytest.approx(times(clip, "a:0"), abs=0.001)


def test_a_cut_begins_with_its_own_first_frame(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    given = _given(clip, start=0.4, end=0.8, fps=Fraction(10))
    cut = _given(clip, start=0.4, end=0.8)
    assert [each.pts * each.time_base for each in given] == [Fraction(n, 10) for n in range(4)]
    # Of the ten at 25 a second, those on screen at 0.05, 0.15, 0.25 and 0.35 s.
    assert [each.check() for each in given] == [cut[n].check() for n in (1, 3, 6, 8)]


def test_seeking_gives_what_was_read(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", pts=[512 * n for n in range(250)], options={"g": "20"})
    for rate in (Fraction(3), Fraction(24000, 1001), Fraction(40)):
        whole = _given(clip, fps=rate)
        for count in (len(whole) // 3, len(whole) // 2, len(whole) - 1):
            wanted = whole[count]
            with VideoReader(clip, fps=rate) as source:
                assert source.skip_to(count, wanted.pts, wanted.check())
                rest = list(source.frames())
                assert source.warnings == []
            assert [(each.pts, each.check()) for each in rest] == [
                (each.pts, each.check()) for each in whole[count:]
            ]


@pytest.mark.usefixtures("short_parts")
def test_a_stopped_conversion_goes_on_and_another_rate_is_another(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", pts=[512 * n for n in range(60)], options={"g": "10"})
    asked = {"fps": 20, "size": "32p"}
    convert(clip, tmp_path / "whole.mp4", **asked)
    stop(clip, tmp_path / "parts.mp4", 1, **asked)
    with pytest.raises(OutputError, match="fps 20"):
        convert(clip, tmp_path / "parts.mp4", fps=10, size="32p")
    report = convert(clip, tmp_path / "parts.mp4", **asked)
    assert report.kept > 0 and report.frames_out == 48
    assert (report.chosen_fps, report.input.fps, report.output.fps) == (20, 25, 20)
    assert "20 of 25" in report.left_out
    seen = [(each.pts, each.check()) for each in _given(tmp_path / "parts.mp4")]
    assert seen == [(each.pts, each.check()) for each in _given(tmp_path / "whole.mp4")]


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10", Fraction(10)),
        ("12.5", Fraction(25, 2)),
        ("23.976", Fraction(24000, 1001)),
        ("29.97", Fraction(30000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        (0.5, Fraction(1, 2)),
    ],
)
def test_a_rate_is_read(text: str | float, rate: Fraction) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "fast", "0", "-5", "1/0", "nan", "1e9", float(MAX_FPS) * 2, float(MIN_FPS) / 2]
)
def test_a_rate_that_is_none_is_refused(text: str | Fraction) -> None:
    with pytest.raises(ValueError, match=r"frames? "):
        parse_rate(text)
