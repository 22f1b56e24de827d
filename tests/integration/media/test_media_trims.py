"""What an edit list takes away stays away, in every container."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from ffprobe import ffprobe, streams, times
from media_clips import convert, facts
from sync_clips import events, sync_clip

from streamtoon.media import VideoReader

BEGIN = 1.5


def trimmed(path: Path, begin: float = BEGIN, end: float | None = None) -> Path:
    """4 s in one group of pictures whose edit lists begin `begin` seconds in, as phones trim."""
    options = {"g": "250", "bf": "2"}
    data = bytearray(sync_clip(path, options=options).read_bytes())
    (movie,) = struct.unpack_from(">I", data, data.index(b"mvhd") + 16)
    at = data.index(b"moov")
    for _ in range(2):
        at = data.index(b"elst", at + 4)
        (unit,) = struct.unpack_from(">I", data, data.index(b"mdhd", at) + 16)
        length, first = struct.unpack_from(">Ii", data, at + 12)
        length = round(((4.0 if end is None else end) - begin) * movie)
        struct.pack_into(">Ii", data, at + 12, length, first + int(begin * unit))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts", ".avi", ".flv"])
def test_what_was_trimmed_stays_away(tmp_path: Path, ending: str) -> None:
    source = trimmed(tmp_path / "in.mp4")
    target = tmp_path / f"out{ending}"
    warnings, written = convert(source, target)
    assert not [each for each in warnings if "early" in each]
    assert written.frames == 62  # pictures from 1.52 s on, as FFmpeg's command counts them
    asked = ("-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames")
    assert ffprobe(target, *asked)["streams"][0]["nb_read_frames"] == "62"
    start = times(target, "v:0")[0]
    assert times(target, "a:0")[0] - start > -0.05
    flashes, beeps = events(target)
    assert [each - start for each in flashes] == pytest.approx([0.5, 1.5], abs=0.03)
    assert beeps == pytest.approx(flashes, abs=0.04)


def test_a_trim_at_the_end_stays_away(tmp_path: Path) -> None:
    source = trimmed(tmp_path / "in.mp4", 1.5, 2.6)
    warnings, written = convert(source, tmp_path / "out.mkv")
    assert (warnings, written.frames) == ([], 27)
    assert times(tmp_path / "out.mkv", "a:0")[-1] < 1.15
    assert len(events(tmp_path / "out.mkv")[1]) == 1


def test_a_trim_is_no_damage(tmp_path: Path) -> None:
    with VideoReader(trimmed(tmp_path / "in.mp4"), on_error="stop") as source:
        assert source.expected_frames == sum(1 for _ in source.frames())
        assert source.warnings == []


def test_the_delay_of_an_encoder_is_no_trim(tmp_path: Path) -> None:
    """AAC begins before 0 by what its decoder needs: an edit list says so, and the packet is kept."""
    clip = sync_clip(tmp_path / "in.mp4", 1)
    (sound,) = streams(clip, "audio")
    assert min(times(clip, "a:0")) < 0 == float(sound["start_time"])
    convert(clip, tmp_path / "out.mp4")
    assert facts(tmp_path / "out.mp4").others[0].digests == facts(clip).others[0].digests


def test_a_cut_counts_from_the_trim(tmp_path: Path) -> None:
    _, written = convert(trimmed(tmp_path / "in.mp4"), tmp_path / "out.mkv", start=1.0)
    assert written.frames == 37
    flashes, beeps = events(tmp_path / "out.mkv")
    assert flashes == pytest.approx([0.5], abs=0.03)
    assert beeps == pytest.approx(flashes, abs=0.04)
