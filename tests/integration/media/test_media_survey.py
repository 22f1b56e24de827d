"""Containers that count frames: uneven ones that declare a steady rate, and sound that starts whenever."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from corpus import remuxed
from ffprobe import ffprobe, streams, times
from media_clips import convert, make_clip
from sync_clips import events, sync_clip

from streamtoon.media.writer.avi_timing import grid_of

MS = Fraction(1, 1000)
STEPS_MS = [40, 23, 61, 40, 7, 119, 40, 33] * 4


def uneven(path: Path) -> Path:
    """Uneven frames in Matroska, whose header declares 25 a second (DefaultDuration)."""
    pts = [0, *accumulate(STEPS_MS)]
    return make_clip(path, pts=pts, time_base=MS, audio=None, options={"bf": "0"})


def shown(path: Path) -> list[float]:
    """When frames are shown, in seconds; empty chunks of AVI show none."""
    asked = "-select_streams", "v:0", "-show_entries", "packet=pts_time,size"
    packets = ffprobe(path, *asked)["packets"]
    return [float(each["pts_time"]) for each in packets if int(each["size"])]


def test_uneven_frames_are_not_put_on_the_rate_that_is_declared(tmp_path: Path) -> None:
    source = uneven(tmp_path / "in.mkv")
    assert streams(source, "video")[0]["r_frame_rate"] == "25/1"
    warnings, written = convert(source, tmp_path / "out.avi")
    assert written.frames == len(STEPS_MS) + 1
    off = [abs(a - b) for a, b in zip(shown(tmp_path / "out.avi"), shown(source), strict=True)]
    assert 0.001 < max(off) < 0.0045
    assert warnings == []


def test_what_cannot_be_read_twice_is_put_on_the_rate_that_is_declared_with_a_word(tmp_path: Path) -> None:
    source = uneven(tmp_path / "in.mkv")
    with source.open("rb") as file:
        warnings, _ = convert(file, tmp_path / "out.avi")  # type: ignore[arg-type]
    off = [abs(a - b) for a, b in zip(shown(tmp_path / "out.avi"), shown(source), strict=True)]
    (said,) = [each for each in warnings if "frame times are rounded" in each]
    assert max(off) > 0.01
    assert f"up to {max(off):.2g} s" in said


def test_a_break_that_has_more_empty_frames_than_avi_takes_makes_the_grid_coarser(tmp_path: Path) -> None:
    pts = [0, 23, 61, 1_200_000, 1_200_040, 1_200_081]
    source = make_clip(tmp_path / "in.mkv", pts=pts, time_base=MS, audio=None, options={"bf": "0"})
    warnings, written = convert(source, tmp_path / "out.avi")
    assert written.frames == 6
    off = [abs(a - b) for a, b in zip(shown(tmp_path / "out.avi"), shown(source), strict=True)]
    assert max(off) <= 0.0101
    assert [each for each in warnings if "in the written file" in each] == []


def test_steady_frames_stay_on_their_rate(tmp_path: Path) -> None:
    for name, rate in (("25", Fraction(25)), ("ntsc", Fraction(30000, 1001))):
        pts = [round(n / rate * 1000) for n in range(40)]
        source = make_clip(tmp_path / f"{name}.mkv", rate=rate, time_base=MS, pts=pts, audio=None)
        warnings, _ = convert(source, tmp_path / f"{name}.avi")
        assert warnings == []
        (video,) = streams(tmp_path / f"{name}.avi", "video")
        assert Fraction(video["r_frame_rate"]) == rate
        assert int(video["nb_frames"]) == 40


@pytest.mark.parametrize(
    ("times_s", "declared", "expected"),
    [
        ([Fraction(n, 25) for n in range(300)], 25, 25),
        ([0, Fraction(1, 25), Fraction(128, 25), Fraction(129, 25)], 25, 25),
        ([0, Fraction(1, 25), Fraction(2, 25), Fraction(5125, 1000), Fraction(5165, 1000)], 25, 25),
        ([Fraction(n, 50) for n in range(300) if n % 7], 25, 50),
        ([Fraction(round(1000 * n / 30), 1000) for n in range(300)], 25, 30),
        ([Fraction(round(1001 * n / 30), 1000) for n in range(300)], 30, Fraction(30000, 1001)),
        ([Fraction(n, 60) for n in range(300) if n % 3], None, 60),
        ([0, Fraction(40, 1000), Fraction(53, 1000), Fraction(120, 1000), Fraction(127, 1000)], 25, 120),
        ([0, Fraction(40, 1000), Fraction(53, 1000), Fraction(1200)], 25, 50),
        ([0, Fraction(1, 13)], 25, 25),
    ],
)
def test_the_grid_is_the_lowest_that_all_times_lie_on(
    times_s: list[Fraction], declared: int | None, expected: Fraction | int
) -> None:
    rate = None if declared is None else Fraction(declared)
    assert grid_of(times_s, rate, Fraction(20)) == expected


@pytest.mark.parametrize(
    ("ending", "codec"), [(".ts", "libx264"), (".vob", "mpeg2video"), (".mpg", "mpeg2video")]
)
@pytest.mark.parametrize("late", ["sound", "pictures"])
def test_late_starts_of_program_and_transport_streams(
    tmp_path: Path, ending: str, codec: str, late: str
) -> None:
    options = {"bf": "0", "g": "10"}
    whole = sync_clip(tmp_path / f"whole{ending}", codec=codec, options=options, sound="mp2")
    begin = times(whole, "v:0")[0]

    def comes_later(packet: Any, kind: str) -> bool:
        is_late = kind == ("audio" if late == "sound" else "video")
        return not is_late or float(packet.pts * packet.time_base) - begin >= 1.19

    source = remuxed(whole, tmp_path / f"in{ending}", comes_later)
    first = {kind: times(source, f"{kind}:0")[0] for kind in "av"}
    assert abs(first["a"] - first["v"]) > 1
    warnings, _ = convert(source, tmp_path / "out.avi")
    assert any("with silence in front" in each for each in warnings) == (late == "sound")
    assert not [each for each in warnings if "in the written file" in each]
    flashes, beeps = events(tmp_path / "out.avi")
    # What comes first begins at 0; the flash or beep of the first second went with the rest of it.
    lead = min(first.values()) - begin
    seconds = [n - lead for n in (1, 2, 3)]
    fewer = {"sound": beeps, "pictures": flashes}[late]
    other = {"sound": flashes, "pictures": beeps}[late]
    assert fewer[-2:] == pytest.approx(seconds[-2:], abs=0.05)
    assert other == pytest.approx(seconds, abs=0.05)


def test_sound_that_begins_after_all_that_is_probed_is_late_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that has not come so far knows no start of it: the packets tell."""
    source = sync_clip(tmp_path / "in.mkv", sound="ac3", sound_from=Fraction(49, 25))
    for place in ("reader.video_reader", "writer.avi_timing"):
        monkeypatch.setattr(f"streamtoon.media.{place}.audio_start", lambda _: Fraction(0))
    warnings, _ = convert(source, tmp_path / "out.avi")
    assert any("start that is 2.0 s late" in each for each in warnings)
    assert events(tmp_path / "out.avi")[1][-1:] == pytest.approx([3], abs=0.04)
