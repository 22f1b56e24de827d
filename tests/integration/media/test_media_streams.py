"""Everything beside the pictures: sound, subtitles, attachments, chapters, metadata."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from corpus import remuxed
from media_clips import convert, facts, make_clip, rich_matroska, scene


def test_matroska_keeps_every_stream_tag_and_chapter(tmp_path: Path) -> None:
    source = rich_matroska(tmp_path / "in.mkv")
    warnings, _ = convert(source, tmp_path / "out.mkv")
    before, after = facts(source), facts(tmp_path / "out.mkv")
    assert warnings == []
    assert [s.type for s in after.streams] == ["video", "audio", "audio", "subtitle", "attachment"]
    for a, b in zip(before.streams, after.streams, strict=True):
        assert a.disposition == b.disposition
        assert {k: v for k, v in a.metadata.items() if k not in ("ENCODER", "DURATION")} == {
            k: v for k, v in b.metadata.items() if k not in ("ENCODER", "DURATION")
        }
        if a.type != "video":
            assert (a.codec, a.times, a.digests) == (b.codec, b.times, b.digests)
    assert after.chapters == before.chapters
    assert {k: v for k, v in after.metadata.items() if k != "ENCODER"} == {
        k: v for k, v in before.metadata.items() if k != "ENCODER"
    }
    with av.open(str(source)) as given, av.open(str(tmp_path / "out.mkv")) as written:
        assert written.streams.attachments[0].data == given.streams.attachments[0].data


def test_mp4_takes_what_it_can_and_says_what_it_cannot(tmp_path: Path) -> None:
    source = rich_matroska(tmp_path / "in.mkv")
    warnings, written = convert(source, tmp_path / "out.mp4")
    before, after = facts(source), facts(tmp_path / "out.mp4")
    assert written.audio_codecs == ("aac", "opus")
    for n in (1, 2):
        assert after.streams[n].digests == before.streams[n].digests
        assert after.streams[n].metadata["language"] == before.streams[n].metadata["language"]
    assert len(warnings) == 2
    assert any("subtitles of stream 3 (subrip, English)" in w for w in warnings)
    assert any("attached file of stream 4" in w and "face.ttf" in w for w in warnings)
    assert after.metadata["title"] == "A film"
    assert after.metadata["artist"] == "Nobody"
    assert after.metadata["CUSTOM_KEY"] == "kept"  # as Matroska spells it
    assert [(a, b, m["title"]) for a, b, m in after.chapters] == [
        (a, b, m["title"]) for a, b, m in before.chapters
    ]


def test_sound_is_never_lost(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", audio_start=4800)
    warnings, written = convert(source, tmp_path / "out.webm")
    assert written.audio_codecs == ("opus",)
    assert any("re-encoded" in w and "aac" in w for w in warnings)
    before, after = _loudness(source), _loudness(tmp_path / "out.webm")
    assert abs(len(before) - len(after)) <= 2
    assert np.corrcoef(before[: len(after)], after[: len(before)])[0, 1] > 0.9


def _loudness(path: Path) -> list[float]:
    """Level of every 20 ms from time 0 on, as heard; silence where no sound is."""
    samples = np.zeros(0)
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        resampler = av.AudioResampler("fltp", "mono", 48000)
        for frame in file.decode(stream):
            assert frame.pts is not None and frame.time_base is not None
            start = max(0, round(float(frame.pts * frame.time_base) * 48000))
            for part in resampler.resample(frame):
                block = part.to_ndarray()[0]
                if len(samples) < start:
                    samples = np.concatenate([samples, np.zeros(start - len(samples))])
                samples = np.concatenate([samples, block])
    blocks = samples[: len(samples) // 960 * 960].reshape(-1, 960)
    return [float(b) for b in np.sqrt((blocks**2).mean(1))]


def test_cover_art_is_not_the_video_and_comes_along(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "plain.mp4")
    picture = _jpeg()
    source = tmp_path / "in.mp4"
    with av.open(str(clip)) as file, av.open(str(source), "w") as out:
        copies = {s.index: out.add_stream_from_template(s, opaque=True) for s in file.streams}
        cover: Any = out.add_mux_stream("mjpeg", width=200, height=200)
        cover.disposition = 1024
        for packet in file.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                out.mux(packet)
        image = av.Packet(picture)
        image.stream, image.pts, image.dts, image.time_base = cover, 0, 0, Fraction(1, 90000)
        out.mux(image)
    for extension in (".mp4", ".mkv"):
        warnings, written = convert(source, tmp_path / f"out{extension}")
        assert (written.width, written.height, written.frames) == (64, 48, 25)
        with av.open(str(tmp_path / f"out{extension}")) as file:
            pictures = [s for s in file.streams.video if s.disposition & 1024]
            assert len(pictures) == 1, warnings
            assert bytes(next(file.demux(pictures[0]))) == picture
    convert(source, tmp_path / "cut.mkv", start=0.4)
    assert any(s.disposition & 1024 for s in facts(tmp_path / "cut.mkv").streams)


def _jpeg() -> bytes:
    context: Any = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = 200, 200, "yuvj420p"
    context.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(scene(200, 200, 0), "rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    return b"".join(bytes(p) for p in [*context.encode(frame), *context.encode(None)])


def test_metadata_of_phones_survives(tmp_path: Path) -> None:
    source = tmp_path / "in.mov"
    tags = {
        "location": "+47.3769+008.5417/",
        "com.apple.quicktime.make": "Someone",
        "creation_time": "2024-05-06T07:08:09.000000Z",
    }
    with av.open(str(source), "w", container_options={"movflags": "use_metadata_tags"}) as out:
        stream: Any = out.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        out.metadata.update(tags)
        frame = av.VideoFrame.from_ndarray(scene(64, 48, 0), "rgb24")
        frame.pts = 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    for extension in (".mov", ".mp4"):
        convert(source, tmp_path / f"out{extension}")
        after = facts(tmp_path / f"out{extension}").metadata
        assert {k: after.get(k) for k in tags} == tags


@pytest.mark.parametrize(("layout", "rate"), [("5.1", 48000), ("stereo", 32000)])
def test_sound_that_changes_its_kind_on_the_way_is_encoded_to_the_end(
    tmp_path: Path, layout: str, rate: int
) -> None:
    parts = [*_ac3_packets("stereo", 48000), *_ac3_packets(layout, rate)]
    with av.open(str(tmp_path / "in.ts"), "w") as out:
        video: Any = out.add_stream("libx264", rate=25)
        video.width, video.height = 64, 48
        sound = out.add_stream("ac3", rate=48000, layout="stereo")
        for n in range(50):
            frame = av.VideoFrame(64, 48)
            frame.pts = n
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        time = Fraction(0)
        for data, seconds in parts:
            packet: Any = av.Packet(data)
            packet.stream, packet.time_base = sound, Fraction(1, 90000)
            packet.pts = packet.dts = round(time * 90000)
            out.mux(packet)
            time += seconds
    _, written = convert(tmp_path / "in.ts", tmp_path / "out.webm")
    assert written.audio_codecs == ("opus",)
    loudness = _loudness(tmp_path / "out.webm")
    assert len(loudness) * 0.02 == pytest.approx(float(time), abs=0.1)
    assert min(loudness[5:-5]) > 0.01


def _ac3_packets(layout: str, rate: int) -> list[tuple[bytes, Fraction]]:
    """About a second of noise: packets and their lengths in seconds."""
    length = Fraction(1536, rate)
    dice = np.random.default_rng(0)
    with av.open(io.BytesIO(), "w", format="ac3") as out:
        stream: Any = out.add_stream("ac3", rate=rate, layout=layout)
        packets = []
        for n in range(30):
            samples = dice.normal(0, 0.1, (stream.codec_context.layout.nb_channels, 1536))
            frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), "fltp", layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, 1536 * n, Fraction(1, rate)
            packets += stream.encode(frame)
        packets += stream.encode(None)
    return [(bytes(packet), length) for packet in packets]


@pytest.mark.parametrize("extension", [".mp4", ".mkv", ".ts"])
def test_languages_are_kept(tmp_path: Path, extension: str) -> None:
    source = rich_matroska(tmp_path / "in.mkv")
    convert(source, tmp_path / f"out{extension}")
    sounds = [s for s in facts(tmp_path / f"out{extension}").streams if s.type == "audio"]
    assert [s.metadata.get("language") for s in sounds] == ["deu", "fra"]


@pytest.mark.parametrize("extension", [".webm", ".avi", ".flv"])
def test_surround_sound_finds_a_layout_that_the_new_encoder_knows(tmp_path: Path, extension: str) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as out:
        video: Any = out.add_stream("libx264", rate=25)
        video.width, video.height = 64, 48
        sound: Any = out.add_stream("flac", rate=44100)
        sound.codec_context.layout = "5.1(side)"
        for n in range(5):
            frame = av.VideoFrame.from_ndarray(scene(64, 48, n), "rgb24")
            frame.pts = n
            out.mux(video.encode(frame))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 6 * 8820), np.int16), "s16", "5.1(side)")
        samples.sample_rate, samples.pts = 44100, 0
        out.mux([*video.encode(None), *sound.encode(samples), *sound.encode(None)])
    _, written = convert(source, tmp_path / f"out{extension}")
    assert len(written.audio_codecs) == 1
    assert facts(tmp_path / f"out{extension}").others[0].times


@pytest.mark.parametrize("extension", [".mp4", ".mov"])
def test_a_timecode_is_kept(tmp_path: Path, extension: str) -> None:
    source = tmp_path / "in.mov"
    with av.open(str(source), "w") as out:
        video: Any = out.add_stream("libx264", rate=25)
        video.width, video.height = 64, 48
        video.metadata["timecode"] = "10:20:30:05"
        for n in range(5):
            frame = av.VideoFrame.from_ndarray(scene(64, 48, n), "rgb24")
            frame.pts = n
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    warnings, _ = convert(source, tmp_path / f"out{extension}")
    after = facts(tmp_path / f"out{extension}")
    assert warnings == []
    assert [s.type for s in after.streams] == ["video", "data"]
    assert after.video.metadata["timecode"] == "10:20:30:05"


def test_a_gap_in_sound_that_avi_cannot_keep_is_said(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "whole.mkv", options={"bf": "0"}, pts=[512 * n for n in range(75)])

    def outside_of_the_gap(packet: Any, kind: str) -> bool:
        return kind != "audio" or not 1 <= packet.pts * packet.time_base < 2

    source = remuxed(clip, tmp_path / "in.mkv", outside_of_the_gap)
    for extension, kept in ((".avi", False), (".mp4", True)):
        warnings, _ = convert(source, tmp_path / f"out{extension}")
        end = facts(tmp_path / f"out{extension}").others[0].times[-1]
        assert end is not None and (end > 2.9) == kept
        assert any("cannot store gaps in audio: from 2.0 s on the sound" in each for each in warnings) != kept
