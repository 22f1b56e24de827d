"""Where a video begins: clocks of broadcasts, sound that starts later, containers without times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from corpus import remuxed
from ffprobe import ffprobe, times
from media_clips import convert, make_clip
from sync_clips import events, sync_clip

from streamtoon.media import VideoReader

CLOCK = Fraction(26000)
"""Seconds: a receiver's recording begins where the sender's clock stood."""


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts", ".flv", ".avi"])
def test_the_clock_of_a_broadcast_is_no_offset(tmp_path: Path, ending: str) -> None:
    copied = {"mpegts_copyts": "1"}
    source = sync_clip(tmp_path / "in.ts", 3, offset=CLOCK, container_options=copied, options={"bf": "0"})
    assert times(source, "v:0")[0] == pytest.approx(26000, abs=0.1)
    target = tmp_path / f"out{ending}"
    warnings, written = convert(source, target)
    assert (written.frames, written.duration) == (75, pytest.approx(3))
    assert not [each for each in warnings if "early" in each or "leaps" in each]
    found = ffprobe(target)["format"]
    assert 0 <= float(found["start_time"]) < 1
    assert float(found["duration"]) == pytest.approx(3, abs=0.2)
    flashes, beeps = events(target)
    # AVI counts frames from 0 on: an empty one stands in front where the sound begins a little earlier.
    slack = 0.05 if ending == ".avi" else 0.03
    assert [each - times(target, "v:0")[0] for each in flashes] == pytest.approx([1, 2], abs=slack)
    assert beeps == pytest.approx(flashes, abs=0.04)


def test_a_cut_of_a_broadcast_counts_from_its_beginning(tmp_path: Path) -> None:
    copied = {"mpegts_copyts": "1"}
    source = sync_clip(tmp_path / "in.ts", 3, offset=CLOCK, container_options=copied, options={"bf": "0"})
    for start, end, frames in ((None, 1.0, 25), (1.0, None, 50), (1.0, 2.0, 25)):
        with VideoReader(source, start=start, end=end) as opened:
            assert opened.expected_frames is None or abs(opened.expected_frames - frames) <= 1
            pictures = list(opened.frames())
        assert len(pictures) == frames
        assert 0 <= pictures[0].pts * pictures[0].time_base < 1


def test_a_short_lead_is_kept(tmp_path: Path) -> None:
    source = sync_clip(tmp_path / "in.mkv", 2, offset=Fraction(2))
    convert(source, tmp_path / "out.mkv")
    assert times(tmp_path / "out.mkv", "v:0")[0] == times(source, "v:0")[0] == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("codec", ["ac3", "libmp3lame", "pcm_s16le"])
def test_late_sound_has_silence_in_front_where_nothing_has_a_start(tmp_path: Path, codec: str) -> None:
    source = sync_clip(tmp_path / "in.mkv", sound=codec, sound_from=Fraction(49, 25))
    for ending in (".avi", ".mkv"):
        warnings, _ = convert(source, tmp_path / f"out{ending}")
        assert any("start that is 2.0 s late" in each for each in warnings) == (ending == ".avi")
        flashes, beeps = events(tmp_path / f"out{ending}")
        assert flashes == pytest.approx([1, 2, 3], abs=0.03)
        assert beeps[-1:] == pytest.approx([3], abs=0.04)
        assert len(beeps) == 2 if ending == ".avi" else len(beeps) <= 2


def test_late_pictures_stay_late_where_nothing_has_a_start(tmp_path: Path) -> None:
    whole = sync_clip(tmp_path / "whole.mkv", sound="ac3", options={"g": "10", "bf": "0"})
    source = tmp_path / "in.mkv"
    remuxed(whole, source, lambda packet, kind: kind != "video" or packet.pts * packet.time_base >= 1.2)
    convert(source, tmp_path / "out.avi")
    flashes, beeps = events(tmp_path / "out.avi")
    assert flashes == pytest.approx([2, 3], abs=0.03)
    assert beeps == pytest.approx([1, 2, 3], abs=0.04)


@pytest.mark.parametrize("lead", [Fraction(7, 5), Fraction(2)])
def test_a_lead_that_avi_has_no_place_for_is_taken_from_all(tmp_path: Path, lead: Fraction) -> None:
    source = sync_clip(
        tmp_path / "in.ts",
        offset=lead,
        sound="mp2",
        options={"bf": "0"},
        container_options={"mpegts_copyts": "1"},
    )
    convert(source, tmp_path / "out.avi")
    flashes, beeps = events(tmp_path / "out.avi")
    assert flashes == pytest.approx([1, 2, 3], abs=0.05)
    assert beeps == pytest.approx(flashes, abs=0.04)


def test_uneven_pictures_keep_their_times_where_pictures_are_counted(tmp_path: Path) -> None:
    steps = [1, 3, 2, 7, 1, 1, 12, 4, 2, 5] * 6
    pts = [sum(steps[:n]) * 137 for n in range(len(steps))]  # in 1/12800 s, on no common grid of a camera
    source = make_clip(tmp_path / "in.mp4", pts=pts, audio=None)
    _, written = convert(source, tmp_path / "out.avi")
    assert written.frames == len(pts)
    asked = "-select_streams", "v:0", "-show_entries", "packet=pts_time,size"
    packets = ffprobe(tmp_path / "out.avi", *asked)["packets"]
    shown = [float(each["pts_time"]) for each in packets if int(each["size"])]
    assert shown == pytest.approx([n / 12800 for n in pts], abs=0.0085)
