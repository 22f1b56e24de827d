"""Codecs by either name, checked settings, and clear words where something does not fit."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec.context import CodecContext, OptionType
from media_clips import convert, facts, make_clip, yuv_frames
from numpy.typing import NDArray

from streamtoon.errors import OutputError
from streamtoon.media import VideoReader, VideoWriter
from streamtoon.media.writer.containers import BY_EXTENSION
from streamtoon.media.writer.encoders import choose_encoder, low_latency


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "in.mp4", pts=[512 * n for n in range(6)])


@pytest.mark.parametrize(
    ("codec", "extension", "expected"),
    [
        (None, ".mp4", "h264"),
        (None, ".webm", "vp9"),
        (None, ".avi", "mpeg4"),
        (None, ".gif", "gif"),
        ("h264", ".mkv", "h264"),
        ("libx264", ".ts", "h264"),
        ("HEVC", ".mp4", "hevc"),
        ("h265", ".mkv", "hevc"),
        ("av1", ".mp4", "av1"),
        ("vp9", ".mp4", "vp9"),
        ("vp8", ".webm", "vp8"),
        ("ffv1", ".mkv", "ffv1"),
        ("prores", ".mov", "prores"),
        ("mpeg4", ".mp4", "mpeg4"),
    ],
)
def test_codecs_encode_every_picture(
    tmp_path: Path,
    clip: Path,
    codec: str | None,
    extension: str,
    expected: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    _, written = convert(clip, tmp_path / f"out{extension}", codec=codec)
    assert written.video_codec == expected
    after = facts(tmp_path / f"out{extension}")
    assert after.video.codec == expected
    assert len(after.times) == 6
    assert capfd.readouterr() == ("", "")  # encoders with a log of their own are kept quiet


@pytest.mark.skipif(sys.platform != "linux", reason="threads are looked at as Linux shows them")
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
def test_no_encoder_takes_the_machine_for_itself(tmp_path: Path, clip: Path, codec: str) -> None:
    """SVT-AV1 would, as root: a real-time thread that spins leaves nothing to anybody else."""
    threads = {0}
    with VideoReader(clip) as source, VideoWriter(tmp_path / "out.mp4", source, codec=codec) as sink:
        for picture in source:
            sink.write(picture)
            threads |= {int(task.name) for task in Path("/proc/self/task").iterdir()}
        assert {os.sched_getscheduler(thread) for thread in threads if _runs(thread)} == {os.SCHED_OTHER}


def _runs(thread: int) -> bool:
    return Path(f"/proc/self/task/{thread or os.getpid()}").exists()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"codec": "nonsense"}, "no video encoder nonsense.*h264, hevc"),
        ({"codec": "aac"}, "does not encode video"),
        ({"codec": "gif"}, "MP4 does not support gif"),
        ({"crf": 52}, "out of range for libx264: 0 .* 51"),
        ({"crf": -1}, "out of range"),
        ({"preset": "warp"}, "not a preset of libx264.*ultrafast"),
        ({"codec": "mpeg4", "crf": 20}, "mpeg4 has no CRF"),
        ({"codec": "mpeg4", "preset": "fast"}, "mpeg4 has no presets"),
        ({"codec": "av1", "preset": "fast"}, "not a preset of libsvtav1.*0 .* to 13"),
        ({"codec": "h264_nvenc"}, "cannot be opened|no video encoder|needs an NVIDIA GPU"),
    ],
)
def test_what_does_not_work_is_said_before_work(
    tmp_path: Path, clip: Path, settings: dict[str, object], words: str
) -> None:
    with VideoReader(clip) as source, pytest.raises(OutputError, match=words):
        VideoWriter(tmp_path / "out.mp4", source, **settings)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    "codec", ["libx264", "libx265", "libvpx-vp9", "h264_nvenc", "hevc_nvenc", "av1_nvenc"]
)
def test_an_encoder_knows_every_option_that_it_is_given(codec: str, live: bool) -> None:
    """FFmpeg tells what an encoder takes without opening it, so this holds for hardware that is not here."""
    choice = choose_encoder(BY_EXTENSION[".mkv"], codec, None, None)
    if live:
        choice = low_latency(choice, 1_000_000, 50)
    options = CodecContext.create(codec, "w").supported_options
    private = {option.name: option for option in options.private}
    assert set(choice.options) <= set(private) | {option.name for option in options.generic}
    for name in set(choice.options) & set(private):
        option, value = private[name], choice.options[name]
        assert isinstance(option.type, OptionType)
        numeric = re.fullmatch(r"[\d.]+", value) and option.type is not OptionType.STRING
        if numeric:
            assert option.min <= float(value) <= option.max, f"{codec} {name}={value}"
        elif option.choices:
            assert value in {each.name for each in option.choices}, f"{codec} {name}={value}"


def test_nvidias_encoders_have_their_own_scale_and_no_pictures_before_their_time() -> None:
    plain = choose_encoder(BY_EXTENSION[".mkv"], "h264_nvenc", None, None).options
    assert plain["rc"] == "vbr" and 0 < int(plain["cq"]) < 51 and "crf" not in plain
    assert choose_encoder(BY_EXTENSION[".mkv"], "av1_nvenc", 60, "p7").options["cq"] == "60"
    with pytest.raises(OutputError, match=r"out of range for h264_nvenc: 1 \(best\) to 51"):
        choose_encoder(BY_EXTENSION[".mkv"], "h264_nvenc", 0, None)
    live = low_latency(choose_encoder(BY_EXTENSION[".mkv"], "h264_nvenc", None, None), 1_000_000, 50)
    assert live.options["bf"] == "0" and "cq" not in live.options


def test_settings_reach_the_encoder(tmp_path: Path, clip: Path) -> None:
    sizes = []
    for crf in (10, 40):
        convert(clip, tmp_path / f"{crf}.mp4", crf=crf, preset="ultrafast")
        sizes.append((tmp_path / f"{crf}.mp4").stat().st_size)
    assert sizes[0] > 1.2 * sizes[1]
    assert choose_encoder(BY_EXTENSION[".mkv"], "vp9", 31, "8").options["cpu-used"] == "8"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, ["rc=cqp", "qp=22"]),
        ({"crf": 27}, ["rc=cqp", "qp=30"]),
        ({"crf": 51}, ["rc=cqp", "qp=51"]),
        ({"preset": "ultrafast"}, ["rc=crf", "crf=19.0"]),
        ({"preset": "veryfast", "crf": 30}, ["rc=crf", "crf=30.0", "mbtree=1"]),
    ],
)
def test_only_the_default_preset_has_a_constant_quantiser(
    tmp_path: Path, clip: Path, settings: dict[str, object], told: list[str]
) -> None:
    """x264 writes its settings into the stream."""
    convert(clip, tmp_path / "out.mp4", **settings)
    coded = (tmp_path / "out.mp4").read_bytes()
    found = coded[coded.index(b"options: ") :].split(b"\0")[0].decode("ascii", "ignore").split()
    assert set(told) <= set(found)


def test_x265_uses_its_default_settings(tmp_path: Path, clip: Path) -> None:
    """x265, too, writes its settings into the stream."""
    convert(clip, tmp_path / "out.mkv", codec="hevc")
    coded = (tmp_path / "out.mkv").read_bytes()
    found = coded[coded.index(b"options: ") :][:4000].decode("ascii", "ignore").split()
    assert {"ctu=32", "me=0", "subme=0", "psy-rd=0.00", "psy-rdoq=0.00", "crf=20.0"} <= set(found)


@pytest.mark.parametrize("settings", [{}, {"preset": "ultrafast"}])
def test_crf_0_of_h264_is_lossless(tmp_path: Path, clip: Path, settings: dict[str, object]) -> None:
    convert(clip, tmp_path / "out.mkv", crf=0, **settings)
    for ours, theirs in zip(yuv_frames(tmp_path / "out.mkv"), yuv_frames(clip), strict=True):
        assert all(np.array_equal(*planes) for planes in zip(ours, theirs, strict=True))


def test_frames_of_a_still_scene_take_almost_nothing(tmp_path: Path) -> None:
    """x264's `ultrafast` with a CRF, by itself, refines the noise of a still scene for ever."""
    numbers = np.random.default_rng(3)
    drawn = np.kron(numbers.integers(30, 220, (12, 16)), np.ones((30, 40)))
    noisy = [(drawn + numbers.normal(0, 1.5, drawn.shape)).round().astype(np.uint8) for _ in range(48)]
    frames = [np.stack([luma] * 3, -1) for luma in noisy]
    _encode(tmp_path / "source.mkv", frames, {"crf": "0", "preset": "ultrafast"})
    _encode(tmp_path / "plain.mkv", frames, {"crf": "19", "preset": "ultrafast", "bf": "3"})
    convert(tmp_path / "source.mkv", tmp_path / "ours.mkv")
    plain, ours = (np.mean(_packet_sizes(tmp_path / f"{name}.mkv")[1:]) for name in ("plain", "ours"))
    assert ours < plain / 10, (ours, plain)


def _packet_sizes(path: Path) -> list[int]:
    with av.open(str(path)) as file:
        return [packet.size for packet in file.demux(video=0) if packet.size]


def _encode(path: Path, frames: list[NDArray[np.uint8]], options: dict[str, str]) -> None:
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=25, options=options)
        video.height, video.width = frames[0].shape[:2]
        for frame in frames:
            out.mux(video.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        out.mux(video.encode(None))


def test_hevc_in_mp4_is_tagged_for_apple(tmp_path: Path, clip: Path) -> None:
    convert(clip, tmp_path / "out.mp4", codec="hevc")
    assert b"hvc1" in (tmp_path / "out.mp4").read_bytes()


@pytest.mark.parametrize("extension", BY_EXTENSION)
def test_every_extension_is_written(tmp_path: Path, clip: Path, extension: str) -> None:
    _, written = convert(clip, tmp_path / f"out{extension}")
    assert written.frames == len(facts(tmp_path / f"out{extension}").times) == 6
