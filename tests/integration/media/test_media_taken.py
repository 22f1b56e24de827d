"""What is put into which container: the table, read back by FFmpeg's reader of some years ago."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from ffprobe import ffprobe, streams
from media_clips import convert, make_clip, scene
from paths import ROOT

from streamtoon.media.writer.codec_support import SUPPORTED_CODECS
from streamtoon.media.writer.containers import BY_EXTENSION

DOCS = ROOT / "docs" / "reference" / "files.md"
ENCODERS = {
    "aac": "aac",
    "mp3": "libmp3lame",
    "ac3": "ac3",
    "opus": "libopus",
    "eac3": "eac3",
    "flac": "flac",
    "alac": "alac",
    "pcm_s24le": "pcm_s24le",
    "adpcm_ima_wav": "adpcm_ima_wav",
}
SUBTITLES = "subrip ass webvtt hdmv_pgs_subtitle dvb_subtitle dvd_subtitle".split()


def clip(path: Path, *, sound: str | None = None, subtitles: tuple[str, ...] = ()) -> Path:
    """A few frames, with sound or subtitles, whose packets nobody here looks into."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=25, options={"bf": "0"})
        video.width, video.height = 64, 48
        tone: Any = out.add_stream(sound, rate=48000, layout="stereo") if sound else None
        if tone is not None:
            tone.codec_context.open()
        tracks = [out.add_mux_stream(name) for name in subtitles]
        out.start_encoding()
        for n in range(15):
            frame = av.VideoFrame.from_ndarray(scene(64, 48, n), "rgb24")
            frame.pts = n
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        size = tone.codec_context.frame_size or 1024 if tone is not None else 0
        for at in range(0, 28800, size) if size else ():
            silence = av.AudioFrame(tone.codec_context.format.name, "stereo", size)
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            silence.sample_rate, silence.pts, silence.time_base = 48000, at, Fraction(1, 48000)
            out.mux(tone.encode(silence))
        out.mux(tone.encode(None) if tone is not None else [])
        for track in tracks:
            packet = av.Packet(b"\x20\x00\x0f\x10" + bytes(range(40)))
            packet.stream, packet.time_base, packet.duration = track, Fraction(1, 1000), 400
            packet.pts = packet.dts = 100
            out.mux(packet)
    return path


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm", ".ts"])
@pytest.mark.parametrize("codec", ENCODERS)
def test_sound_is_copied_where_the_table_has_it(tmp_path: Path, codec: str, ending: str) -> None:
    source = clip(tmp_path / ("in.avi" if "adpcm" in codec else "in.mkv"), sound=ENCODERS[codec])
    target = tmp_path / f"out{ending}"
    warnings, _ = convert(source, target)
    kind = BY_EXTENSION[ending]
    is_copied = codec in SUPPORTED_CODECS[kind.format].sounds
    (sound,) = streams(target, "audio")
    own = {"libopus": "opus", "libmp3lame": "mp3"}.get(kind.audio, kind.audio)
    assert sound["codec_name"] == (codec if is_copied else own)
    assert any("re-encoded" in each for each in warnings) != is_copied


@pytest.mark.parametrize("ending", BY_EXTENSION)
def test_subtitles_are_copied_where_the_table_has_them(tmp_path: Path, ending: str) -> None:
    source = clip(tmp_path / "in.mkv", subtitles=tuple(SUBTITLES))
    assert [each["codec_name"] for each in streams(source, "subtitle")] == SUBTITLES
    target = tmp_path / f"out{ending}"
    warnings, _ = convert(source, target)
    taken = [each for each in SUBTITLES if each in SUPPORTED_CODECS[BY_EXTENSION[ending].format].subtitles]
    found = ffprobe(target)["streams"]
    assert [each["codec_name"] for each in found[1:]] == taken
    assert len([each for each in warnings if "subtitles" in each]) == len(SUBTITLES) - len(taken)


@pytest.mark.parametrize(
    ("codec", "ending", "is_said"),
    [
        ("hevc", ".flv", True),
        ("h264", ".flv", False),
        ("h264", ".avi", True),
        ("ffv1", ".mp4", True),
        ("mpeg4", ".mov", False),
        ("prores", ".mov", False),
        ("av1", ".webm", False),
        ("hevc", ".ts", False),
    ],
)
def test_video_that_few_players_read_there_is_said(
    tmp_path: Path, codec: str, ending: str, is_said: bool
) -> None:
    source = make_clip(tmp_path / "in.mp4", pts=[512 * n for n in range(4)], audio=None)
    warnings, written = convert(source, tmp_path / f"out{ending}", codec=codec)
    assert written.frames == 4
    assert any("Most players do not support" in each for each in warnings) == is_said


def test_every_container_encodes_what_its_table_has() -> None:
    for kind in BY_EXTENSION.values():
        assert set(kind.video) <= SUPPORTED_CODECS[kind.format].video
        assert (
            not kind.audio
            or kind.audio.removeprefix("lib").removesuffix("lame") in SUPPORTED_CODECS[kind.format].sounds
        )


def test_the_docs_have_the_same_table() -> None:
    section = (
        DOCS.read_text(encoding="utf-8").split("## What goes into which container\n")[1].split("\n## ")[0]
    )

    def named(codecs: frozenset[str]) -> str:
        return " ".join(f"`{each}`" for each in sorted(codecs)) or "none"

    for each in SUPPORTED_CODECS.values():
        lines = section.split(f"### {each.name}\n")[1].split("\n### ")[0].strip().splitlines()
        assert lines == [
            line
            for line in (
                f"- Video: {named(each.video)}",
                f"- Sound: {named(each.sounds)}",
                f"- Subtitles: {named(each.subtitles)}",
                f"- Not: {each.but}" if each.but else "",
                f"- By: {each.source}",
            )
            if line
        ]
