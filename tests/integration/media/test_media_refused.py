"""What a muxer refuses is known before anything is drawn, and goes another way."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from ffprobe import ffprobe, streams
from media_clips import convert, make_clip, rich_matroska

from streamtoon.errors import OutputError
from streamtoon.media import VideoReader, VideoWriter
from streamtoon.media.writer.packet_routes import CopyRoute
from streamtoon.media.writer.trial_mux import TrialMux

TITLES = ("One", "Two")


def with_chapters(path: Path) -> Path:
    """Two seconds in MP4 or MOV with two chapters and the text track that their muxer makes of them."""
    clip = make_clip(path.with_name("plain.mkv"), pts=[512 * n for n in range(50)])
    with av.open(str(clip)) as file, av.open(str(path), "w") as out:
        copies = {s.index: out.add_stream_from_template(s) for s in file.streams}
        chapters: list[Any] = [
            {"id": n, "start": 1000 * n, "end": 1000 * (n + 1), "time_base": Fraction(1, 1000)}
            | {"metadata": {"title": title}}
            for n, title in enumerate(TITLES)
        ]
        out.set_chapters(chapters)
        for packet in file.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                out.mux(packet)
    return path


@pytest.mark.parametrize(
    ("ending", "to"),
    [
        (".mp4", ".mp4"),
        (".mp4", ".mov"),
        (".mov", ".mp4"),
        (".mov", ".mov"),
        (".mp4", ".mkv"),
        (".mp4", ".webm"),
    ],
)
def test_chapters_of_mov_are_kept_once(tmp_path: Path, ending: str, to: str) -> None:
    source = with_chapters(tmp_path / f"in{ending}")
    assert [s["codec_tag_string"] for s in streams(source, "data")] == ["text"]
    warnings, _ = convert(source, tmp_path / f"out{to}")
    assert not [each for each in warnings if "data" in each or "chapters" in each]
    found = ffprobe(tmp_path / f"out{to}")["chapters"]
    assert [c["tags"]["title"] for c in found] == list(TITLES)
    assert [float(c["start_time"]) for c in found] == [0, 1]
    assert [float(c["end_time"]) for c in found] == [1, 2]
    made_by_the_muxer = 1 if to in (".mp4", ".mov") else 0
    assert len(streams(tmp_path / f"out{to}", "data")) == made_by_the_muxer


@pytest.mark.parametrize("to", [".avi", ".ts", ".flv"])
def test_chapters_that_a_container_cannot_keep_are_said(tmp_path: Path, to: str) -> None:
    warnings, _ = convert(with_chapters(tmp_path / "in.mp4"), tmp_path / f"out{to}")
    assert any("does not support chapters" in each for each in warnings)


def with_data(path: Path, tag: bytes) -> Path:
    """Two seconds with a data track of this tag, as cameras write them: a track of titles by another name."""
    content = with_chapters(path).read_bytes()
    track = content.index(b"stsd", content.index(b"SubtitleHandler"))
    at = content.index(b"text", track)
    content = content[:at] + tag + content[at + 4 :]
    path.write_bytes(content.replace(b"chap", b"cdsc").replace(b"chpl", b"free"))
    return path


@pytest.mark.parametrize("to", [".mp4", ".mov"])
@pytest.mark.parametrize("tag", [b"gpmd", b"rtmd", b"camm", b"mebx"])
def test_data_is_kept_where_it_stays_readable(tmp_path: Path, tag: bytes, to: str) -> None:
    source = with_data(tmp_path / "in.mov", tag)
    assert [s["codec_tag_string"] for s in streams(source, "data")] == [tag.decode()]
    warnings, _ = convert(source, tmp_path / f"out{to}")
    after = [s["codec_tag_string"] for s in streams(tmp_path / f"out{to}", "data")]
    if tag == b"gpmd":  # what MOV and MP4 describe of the data that they hold
        assert (after, warnings) == (["gpmd"], [])
    else:
        assert after == []
        assert any("does not support the data of stream 2" in each for each in warnings)


def test_what_is_refused_by_its_packets_goes_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header of a sound and of subtitles is taken; their packets are not, in the rehearsal already."""
    source = rich_matroska(tmp_path / "in.mkv")
    copy = CopyRoute.write
    refused: list[int] = []

    def write(self: CopyRoute, packet: Any) -> None:
        if packet.stream_index in (1, 3):
            refused.append(packet.stream_index)
            raise av.error.ArgumentError(22, "Invalid argument")
        copy(self, packet)

    monkeypatch.setattr(CopyRoute, "write", write)
    with VideoReader(source) as opened, VideoWriter(tmp_path / "out.mkv", opened) as sink:
        before = len(refused)
        for item in opened:
            sink.write(item)
    assert before == len(refused) > 0, "nothing is refused any more once the rehearsal is over"
    assert [each for each in sink.warnings if "stream 1" in each or "stream 3" in each] == [
        "Matroska does not support the sound of stream 1 (aac, Ton): it was re-encoded as libopus.",
        "Matroska does not support the subtitles of stream 3 (subrip, English): it was left out.",
    ]
    kinds = [(s["codec_type"], s.get("codec_name")) for s in ffprobe(tmp_path / "out.mkv")["streams"]]
    assert kinds == [("video", "h264"), ("audio", "opus"), ("audio", "opus"), ("attachment", "ttf")]


def test_what_cannot_be_written_at_all_is_said_before_the_first_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(tmp_path / "in.mp4")
    refuse = av.error.InvalidDataError(1094995529, "Invalid data found when processing input")

    def fail(*_: object) -> None:
        raise refuse

    with VideoReader(clip) as source:
        monkeypatch.setattr("streamtoon.media.writer.video_encoder.VideoEncoder.encode", fail)
        with pytest.raises(OutputError, match=r"MP4 does not accept this video \(invalid.*\.mkv"):
            VideoWriter(tmp_path / "out.mp4", source)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_rehearsal_leaves_the_source_as_it_was(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4")
    with VideoReader(clip, start=0.4) as source, VideoWriter(tmp_path / "out.mp4", source) as sink:
        assert isinstance(sink.rehearsal, TrialMux)
        for item in source:
            sink.write(item)
    assert len([p for p in tmp_path.iterdir() if p.name.startswith(".")]) == 0
    assert sink.frames == 15


@pytest.mark.parametrize("count", [1, 2, 3])
def test_hevc_of_few_pictures(tmp_path: Path, count: int) -> None:
    """x265 leaves the decoding times of one or two pictures as they were in memory."""
    clip = make_clip(tmp_path / "in.mp4", pts=[512 * n for n in range(count)], audio=None)
    for attempt in range(3):
        target = tmp_path / f"out{attempt}.mp4"
        convert(clip, target, codec="hevc")
        packets = ffprobe(target, "-show_packets")["packets"]
        assert sorted(float(p["pts_time"]) for p in packets) == pytest.approx(
            [0.04 * n for n in range(count)]
        )
        assert all(float(p["dts_time"]) <= float(p["pts_time"]) for p in packets)
