"""Every picture keeps its time, in every container, and the sound keeps its place beside it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from media_clips import convert, facts, make_clip

from streamtoon.media import VideoReader
from streamtoon.media.reader.timestamps import Clock, Timeline

CASES: dict[str, dict[str, Any]] = {
    "ntsc": {"time_base": Fraction(1, 30000), "rate": Fraction(30000, 1001)},
    "whole-frames": {"time_base": Fraction(1, 25), "pts": list(range(25))},
    "variable": {"pts": [0, 512, 600, 601, 2000, 5000, 5010, 9000], "time_base": Fraction(1, 15360)},
    "starts-late": {"pts": [507 + 512 * n for n in range(20)], "time_base": Fraction(1, 15360)},
    "sound-late": {"audio_start": 12345},
    "sound-early": {"pts": [12800 + 512 * n for n in range(20)]},
    "b-frames": {"options": {"bf": "3", "b-adapt": "0"}},
    "90-kHz": {"time_base": Fraction(1, 90000), "rate": Fraction(24000, 1001)},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("extension", [".mp4", ".mov"])
def test_mp4_family_keeps_every_time_exactly(tmp_path: Path, name: str, extension: str) -> None:
    source = facts(make_clip(tmp_path / "in.mp4", **CASES[name]))
    convert(tmp_path / "in.mp4", tmp_path / f"out{extension}")
    output = facts(tmp_path / f"out{extension}")
    assert output.times == source.times
    assert output.others[0].times == source.others[0].times
    assert output.others[0].digests == source.others[0].digests
    if name not in (
        "variable",
        "starts-late",
    ):  # MP4's sum of durations follows the encoder's choice of B-frames
        assert output.video.duration == source.video.duration
    assert output.others[0].duration == source.others[0].duration


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("extension", "step"), [(".mkv", 1000), (".flv", 1000), (".ts", 90000)])
def test_containers_with_a_fixed_clock_round_to_their_nearest_tick(
    tmp_path: Path, name: str, extension: str, step: int
) -> None:
    source = facts(make_clip(tmp_path / "in.mp4", **CASES[name]))
    warnings, _ = convert(tmp_path / "in.mp4", tmp_path / f"out{extension}")
    output = facts(tmp_path / f"out{extension}")
    # A stream without times before 0 starts later as a whole when the sound's lead-in lies there.
    moved = [b - a for a, b in zip(source.times, output.times, strict=True)]
    shift = Fraction(0) if extension == ".mkv" else moved[0]
    assert 0 <= shift < Fraction(1, 20) or abs(shift) <= Fraction(1, 2 * step)
    assert all(abs(m - shift) <= Fraction(1, step) for m in moved)
    sound = zip(source.others[0].times, output.others[0].times, strict=True)
    assert all(a is not None and b is not None and abs(b - a - shift) <= Fraction(1, step) for a, b in sound)
    noticeable = max(abs(m - shift) for m in moved) > Fraction(1, 1000)
    assert any("stores time in steps" in w for w in warnings) == noticeable


def test_matroska_to_mp4_and_back_changes_nothing(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mkv", rate=Fraction(30000, 1001), time_base=Fraction(1, 30000))
    convert(tmp_path / "a.mkv", tmp_path / "b.mp4")
    convert(tmp_path / "b.mp4", tmp_path / "c.mkv")
    a, b, c = (facts(tmp_path / name) for name in ("a.mkv", "b.mp4", "c.mkv"))
    assert a.times == b.times == c.times
    assert a.others[0].digests == b.others[0].digests == c.others[0].digests


@pytest.mark.parametrize("extension", [".mkv", ".webm", ".ts", ".avi", ".flv"])
def test_every_source_container_becomes_an_mp4_with_its_times(tmp_path: Path, extension: str) -> None:
    codec = {".webm": "libvpx-vp9", ".avi": "mpeg4"}.get(extension, "libx264")
    audio = {".webm": "libopus", ".avi": "libmp3lame"}.get(extension, "aac")
    base = Fraction(1, 25) if extension == ".avi" else Fraction(1, 1000)
    source = make_clip(tmp_path / f"in{extension}", codec=codec, audio=audio, time_base=base)
    convert(source, tmp_path / "out.mp4")
    before, after = facts(source), facts(tmp_path / "out.mp4")
    assert after.times == before.times
    assert len(after.others[0].digests) == len(before.others[0].digests)
    if extension != ".ts":  # whose packets carry a header that MP4 stores once
        assert after.others[0].digests == before.others[0].digests


def test_avi_keeps_time_on_the_grid_of_its_rate(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", pts=[0, 512, 1024, 3072, 3584], audio=None)
    convert(source, tmp_path / "out.avi")
    assert facts(tmp_path / "out.avi").times == facts(source).times


def test_a_report_says_what_was_written(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4")
    _, written = convert(source, tmp_path / "out.mp4")
    assert (written.width, written.height, written.frames) == (64, 48, 25)
    assert (written.video_codec, written.audio_codecs) == ("h264", ("aac",))
    assert written.duration == 1.0


def frame(pts: int | None, dts: int | None = None, duration: int = 0) -> Any:
    return SimpleNamespace(pts=pts, dts=dts, duration=duration)


def test_missing_times_follow_from_rate_and_duration() -> None:
    clock = Clock(Fraction(1, 1000), Fraction(25))
    stamps = [clock.stamp(frame(*f)) for f in ((None,), (None,), (100, 0, 30), (None,), (None, 500))]
    assert stamps == [0, 40, 100, 130, 500]
    assert clock.estimated == 4


def test_times_that_run_backwards_are_made_to_grow() -> None:
    clock = Clock(Fraction(1, 1000), Fraction(25))
    assert [clock.stamp(frame(t)) for t in (0, 40, 40, 10, 200)] == [0, 40, 41, 81, 200]
    assert clock.estimated == 2


MILLISECOND = Fraction(1, 1000)
BROADCAST = 0x200


def placed(timeline: Timeline, *packets: tuple[int, int], length: int = 40) -> list[int]:
    """The new times of (stream, time in ms) packets that each last `length` ms."""
    moved = []
    for index, time in packets:
        packet: Any = SimpleNamespace(
            stream_index=index, pts=time, dts=time, duration=length, time_base=MILLISECOND
        )
        timeline.place(packet, dense=index < 2)
        moved.append(packet.dts)
    return moved


def test_a_clock_without_leaps_is_left_alone() -> None:
    timeline = Timeline(BROADCAST)
    packets = [(n % 2, 20 * n) for n in range(50)] + [(0, 30_000), (1, 30_000), (0, 30_040), (2, 5)]
    assert placed(timeline, *packets) == [time for _, time in packets]
    assert timeline.resets == 0
    assert timeline.end == Fraction(30_080, 1000)


def test_all_streams_leap_together_and_packets_of_the_part_before_stay_there() -> None:
    timeline = Timeline(BROADCAST)
    packets = [(0, 800), (1, 810), (0, 840), (1, 850), (0, 880), (0, 0), (1, 890), (1, 10), (2, 20), (0, 40)]
    assert placed(timeline, *packets) == [800, 810, 840, 850, 880, 920, 890, 930, 940, 960]
    assert timeline.resets == 1


@pytest.mark.parametrize(("flags", "gap"), [(BROADCAST, 3_600_000), (0, 13 * 3_600_000)])
def test_a_leap_forward_is_closed_where_it_can_be_no_gap(flags: int, gap: int) -> None:
    timeline = Timeline(flags)
    assert placed(timeline, (0, 0), (0, 40), (0, gap), (1, gap), (0, gap + 40)) == [0, 40, 80, 80, 120]
    assert timeline.resets == 1
    assert placed(Timeline(0), (0, 0), (0, 3_600_000)) == [0, 3_600_000]


def test_one_damaged_time_harms_one_packet() -> None:
    timeline = Timeline(BROADCAST)
    times = placed(timeline, (0, 0), (0, 40), (0, 10**9), (0, 120), (0, 160), (0, 200))
    assert times == [0, 40, 80, 120, 160, 200]


def test_pictures_that_begin_before_0_begin_at_0() -> None:
    timeline = Timeline(0, Fraction(5))
    assert placed(timeline, (0, -5000), (1, -5020), (0, -4960)) == [0, -20, 40]


def test_headers_are_believed_as_far_as_they_can_be(tmp_path: Path) -> None:
    """Four weeks are a length, a thousand years are none: nothing is then foretold of the end."""
    source = make_clip(tmp_path / "in.mp4")
    data = bytearray(source.read_bytes())
    rate = data.index(b"mdhd") + 20
    for length, expected in ((12800 * 60, 25), (0xFFFFFFF0, 25)):
        data[rate : rate + 4] = length.to_bytes(4, "big")
        source.write_bytes(data)
        with VideoReader(source) as opened:
            assert opened.expected_frames == expected
            assert opened.info.duration is None or opened.info.duration < 31 * 86400
