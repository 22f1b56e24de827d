"""Time codes: what a cut makes of them, counted frame by frame and read by ffprobe."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from ffprobe import ffprobe, streams
from media_clips import convert, scene

from streamtoon.media.timecode import add_time

NTSC = Fraction(30000, 1001)


def with_timecode(path: Path, code: str, rate: Fraction = Fraction(25), count: int = 75) -> Path:
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=rate, options={"g": "10"})
        video.width, video.height = 64, 48
        video.metadata["timecode"] = code
        for n in range(count):
            frame = av.VideoFrame.from_ndarray(scene(64, 48, n), "rgb24")
            frame.pts = n
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


def codes(path: Path) -> list[str]:
    """The time codes of all streams, and the file's own."""
    found = ffprobe(path)
    tags = [each.get("tags", {}) for each in (*found["streams"], found["format"])]
    return [value for each in tags for key, value in each.items() if key.lower() == "timecode"]


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    ("code", "rate", "start", "after"),
    [
        ("10:00:00:00", Fraction(25), 2.0, "10:00:02:00"),
        ("10:00:00:00", Fraction(25), 0.48, "10:00:00:12"),
        ("23:59:59:10", Fraction(25), 2.0, "00:00:01:10"),
        ("00:00:59;20", NTSC, 1.0, "00:01:00;22"),
    ],
)
def test_a_cut_moves_the_time_code(
    tmp_path: Path, ending: str, code: str, rate: Fraction, start: float, after: str
) -> None:
    source = with_timecode(tmp_path / "in.mov", code, rate)
    assert set(codes(source)) == {code}
    convert(source, tmp_path / f"whole{ending}")
    assert set(codes(tmp_path / f"whole{ending}")) == {code}
    convert(source, tmp_path / f"cut{ending}", start=start)
    found = codes(tmp_path / f"cut{ending}")
    assert set(found) == {after}
    if ending != ".mkv":
        assert len(streams(tmp_path / f"cut{ending}", "data")) == 1
        assert len(found) == 2, "in the track of time codes and in the video's"


@pytest.mark.parametrize(("rate", "drops"), [(NTSC, 2), (2 * NTSC, 4)])
def test_dropped_numbers_are_those_of_the_standard(rate: Fraction, drops: int) -> None:
    """Counted by hand: minutes leave out their first numbers, but for every tenth."""
    fps = round(rate)
    numbers: list[str] = []
    for minute in range(21):
        first = drops if minute % 10 else 0
        numbers += [f"00:{minute:02}:{n // fps:02};{n % fps:02}" for n in range(first, 60 * fps)]
    for n in (0, 1, 60 * fps - 1, 60 * fps, 120 * fps - drops, 600 * fps - 9 * drops - 1, len(numbers) - 1):
        assert add_time("00:00:00;00", n / rate, rate) == numbers[n]
    for n in range(0, len(numbers) - 500, 997):
        assert add_time(numbers[n], 500 / rate, rate) == numbers[n + 500]


@pytest.mark.parametrize("code", ["", "10:00:00", "10:00:00:25", "24:00:00:00", "10:61:00:00", "10:00:00;00"])
def test_what_is_no_time_code_of_the_rate_is_none(code: str) -> None:
    assert add_time(code, Fraction(1), Fraction(25)) is None


def test_a_time_code_that_cannot_be_moved_is_left_out_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = with_timecode(tmp_path / "in.mov", "10:00:00:00")
    monkeypatch.setattr("streamtoon.media.writer.container_writer.add_time", lambda *_: None)
    warnings, _ = convert(source, tmp_path / "out.mp4", start=1.0)
    assert codes(tmp_path / "out.mp4") == []
    assert [each for each in warnings if "time code 10:00:00:00" in each and "left out" in each]
