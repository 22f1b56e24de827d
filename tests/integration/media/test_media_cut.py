"""A cut takes exactly the pictures of its interval and keeps the sound in step."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from media_clips import convert, facts, luma_frames, make_clip, rich_matroska

from streamtoon.errors import InputError
from streamtoon.media import VideoReader
from streamtoon.media.reader.timestamps import CUT_TOLERANCE_S, Cut


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds at 25/s, a key frame every second, starting at 33 ms."""
    path = tmp_path_factory.mktemp("clip") / "in.mp4"
    return make_clip(
        path, pts=[422 + 512 * n for n in range(100)], options={"g": "25", "bf": "2"}, audio_start=1582
    )


def origin_of(path: Path) -> Fraction:
    """The first time of anything in the file, where players begin to count."""
    with av.open(str(path)) as file:
        return Fraction(file.start_time, 1_000_000)


@pytest.mark.parametrize(
    ("start", "end"),
    [(1.0, 2.0), (1.48, 1.52), (None, 0.5), (3.2, None), (0.0, 0.2), (0.04, 99), (2.36, 3.0)],
)
def test_exactly_the_pictures_of_the_interval(
    tmp_path: Path, clip: Path, start: float | None, end: float | None
) -> None:
    convert(clip, tmp_path / "out.mp4", start=start, end=end, crf=4)
    every, origin = facts(clip).times, origin_of(clip)
    kept = [
        t
        for t in every
        if t - origin >= (start or 0) - CUT_TOLERANCE_S
        and (end is None or t - origin < end - CUT_TOLERANCE_S)
    ]
    moved = kept[0] if start is not None else 0
    after = facts(tmp_path / "out.mp4")
    assert after.times == [t - moved for t in kept]
    pictures = luma_frames(clip)
    first = every.index(kept[0])
    got = luma_frames(tmp_path / "out.mp4")
    assert abs(got[0].astype(int) - pictures[first]).mean() < 1.5
    assert abs(got[-1].astype(int) - pictures[first + len(kept) - 1]).mean() < 1.5


@pytest.mark.parametrize("extension", [".mkv", ".ts", ".avi", ".flv", ".h264"])
@pytest.mark.parametrize("start", [0.2, 2.36, 3.0])
def test_any_container_is_cut_exactly(tmp_path: Path, extension: str, start: float) -> None:
    codec = "mpeg4" if extension == ".avi" else "libx264"
    base = Fraction(1, 25) if extension == ".avi" else Fraction(1, 1000)
    source = make_clip(
        tmp_path / f"in{extension}",
        codec=codec,
        audio=None,
        time_base=base,
        pts=[round(n / 25 / base) for n in range(100)],
        options={"g": "25", "crf": "4", "bf": "0" if extension in (".h264", ".avi") else "2"}
        | ({"b": "4M"} if codec == "mpeg4" else {}),
    )
    warnings, written = convert(source, tmp_path / "out.mp4", start=start, crf=4)
    first = round(start * 25)
    assert written.frames == 100 - first
    assert facts(tmp_path / "out.mp4").times[0] == 0
    before, after = luma_frames(source), luma_frames(tmp_path / "out.mp4")
    for a, b in ((before[first], after[0]), (before[-1], after[-1])):
        assert abs(a.astype(int) - b).mean() < 1.5
    assert not any("damaged" in w for w in warnings)


@pytest.mark.parametrize("extension", [".mp4", ".mkv", ".ts"])
def test_sound_stays_in_step(tmp_path: Path, clip: Path, extension: str) -> None:
    convert(clip, tmp_path / f"out{extension}", start=1.5, end=2.5)
    before, after = facts(clip), facts(tmp_path / f"out{extension}")
    shift = after.times[0] - next(
        t for t in before.times if t - origin_of(clip) >= Fraction(3, 2) - CUT_TOLERANCE_S
    )
    if extension == ".mp4":
        assert after.times[0] == 0
    if extension != ".ts":  # whose packets carry a header of their own
        a, b = before.others[0], after.others[0]
        count = len(b.digests)
        places = [n for n in range(len(a.digests)) if a.digests[n : n + count] == b.digests]
        moved = [[y - x - shift for x, y in zip(a.times[n:], b.times, strict=False)] for n in places]  # type: ignore[operator]
        assert any(all(abs(m) < Fraction(1, 900) for m in ms) for ms in moved)
    sound = [t for t in after.others[0].times if t is not None]
    assert abs(sound[0] - after.times[0]) < Fraction(3, 100)
    assert abs(sound[-1] - after.times[-1]) < Fraction(6, 100)


def test_chapters_are_cut_too(tmp_path: Path) -> None:
    source = rich_matroska(tmp_path / "in.mkv")
    convert(source, tmp_path / "out.mkv", start=0.6, end=1.0)
    chapters = [(a, b, m["title"]) for a, b, m in facts(tmp_path / "out.mkv").chapters]
    assert chapters == [(0, Fraction(1, 5), "Part 1"), (Fraction(1, 5), Fraction(2, 5), "Part 2")]
    subtitles = next(s for s in facts(tmp_path / "out.mkv").streams if s.type == "subtitle")
    assert subtitles.times == [Fraction(0)]


@pytest.mark.parametrize(("start", "end"), [(2, 1), (1, 1), (-1, None), (float("nan"), None), (None, -2)])
def test_intervals_that_are_none_are_refused(clip: Path, start: float | None, end: float | None) -> None:
    with pytest.raises(InputError):
        VideoReader(clip, start=start, end=end)


def test_a_start_behind_the_end_says_how_long_the_video_is(clip: Path) -> None:
    with pytest.raises(InputError, match=r"part to keep: it is 4\.\d+ s long"):
        VideoReader(clip, start=60)


def test_what_lies_before_a_cut_is_not_held_in_memory(clip: Path, tmp_path: Path) -> None:
    # A pipe cannot be searched, so all that lies before the cut is read: hours of sound, maybe.
    convert(clip, tmp_path / "in.mkv")
    with (tmp_path / "in.mkv").open("rb") as pipe, VideoReader(pipe, start=3.0) as source:
        assert len(source._ahead) < 20
        assert len(list(source.frames())) == 25


def test_typed_times_may_be_rounded() -> None:
    cut = Cut.of(33.367, 66.733, Fraction(0))
    assert not cut.before(Fraction(1001000, 30000))
    assert cut.after(Fraction(2002000, 30000))
    assert not cut.after(Fraction(2000000, 30000))


def test_the_number_of_pictures_can_be_predicted(clip: Path) -> None:
    with VideoReader(clip, start=1, end=2) as source:
        assert source.expected_frames == 25
        assert source.frames_read == 0
        assert sum(1 for _ in source.frames()) == source.frames_read == 25
