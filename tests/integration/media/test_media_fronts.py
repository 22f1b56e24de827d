"""A cut within a long frame of sound: heard from the cut on, in sync, in every container."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from ffprobe import times
from media_clips import convert, scene
from numpy.typing import NDArray

RATE, LENGTH = 48000, 3
STEP = RATE // 10
"""Samples between two levels of the sound."""


def stairs() -> NDArray[np.float32]:
    """A tone that is louder with each tenth of a second: how loud it is says when it was."""
    t = np.arange(RATE * LENGTH)
    level = 0.03 + 0.03 * (t // STEP)
    return (level * np.sin(2 * np.pi * 1000 * t / RATE)).astype(np.float32)


def clip(path: Path, codec: str, block: int | None, options: dict[str, str]) -> Path:
    """Frames of video with the stairs in packets of `block` samples, where the codec lets one choose."""
    with av.open(str(path), "w") as out:
        coder = "mpeg4" if path.suffix == ".avi" else "libx264"
        video: Any = out.add_stream(coder, rate=25, options={"bf": "0", "g": "10"})
        video.width, video.height = 64, 48
        sound: Any = out.add_stream(codec, rate=RATE, layout="mono", options=options)
        sound.codec_context.open()
        size, kind = block or sound.codec_context.frame_size, sound.codec_context.format.name
        out.start_encoding()
        packets: list[Any] = []
        for n in range(25 * LENGTH):
            frame = av.VideoFrame.from_ndarray(scene(64, 48, n), "rgb24")
            frame.pts = n
            packets += video.encode(frame)
        packets += video.encode(None)
        samples = stairs()
        for at in range(0, len(samples), size):
            floating = av.AudioFrame.from_ndarray(samples[None, at : at + size], "fltp", "mono")
            floating.sample_rate = RATE
            made = av.AudioResampler(kind, "mono", RATE).resample(floating)[0]
            made.pts, made.time_base = at, Fraction(1, RATE)
            packets += sound.encode(made)
        packets += sound.encode(None)
        out.mux(sorted(packets, key=lambda each: (each.dts or 0) * each.time_base))
    return path


def heard(path: Path) -> NDArray[np.float64]:
    """The levels of each tenth of a second after the first frame is shown, as FFmpeg's command plays it."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("ffmpeg is not installed")
    start = times(path, "v:0")[0]
    # Times as they are; silence in front of sound that begins later.
    filters = (
        f"asetpts=PTS-{start}/TB,aresample=async=1:first_pts=0,aformat=sample_fmts=flt:sample_rates=48000"
    )
    command = [
        program,
        "-v",
        "error",
        "-copyts",
        "-i",
        str(path),
        "-map",
        "a:0",
        "-af",
        filters,
        "-f",
        "f32le",
        "-",
    ]
    done = subprocess.run(command, capture_output=True, check=True)
    samples = np.frombuffer(done.stdout, np.float32).astype(float)
    samples = samples[: len(samples) // STEP * STEP].reshape(-1, STEP)
    return np.asarray(samples.std(1) * np.sqrt(2))


CODECS: dict[str, tuple[str, int | None, dict[str, str]]] = {
    "flac": ("flac", None, {}),  # 96 ms
    "alac": ("alac", None, {}),  # 85 ms
    "opus": ("libopus", None, {"frame_duration": "60"}),
    "pcm": ("pcm_s16le", RATE, {}),
    "adpcm": ("adpcm_ms", None, {}),
}


@pytest.fixture(scope="module", params=CODECS)
def coded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The name of a codec, and a clip with the stairs in it."""
    codec, block, options = CODECS[request.param]
    name = "in.avi" if request.param == "adpcm" else "in.mkv"
    return request.param, clip(tmp_path_factory.mktemp("coded") / name, codec, block, options)


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".avi", ".ts", ".flv"])
def test_sound_is_heard_from_the_cut_on(tmp_path: Path, coded: tuple[str, Path], ending: str) -> None:
    name, source = coded
    start = 1.52
    warnings, written = convert(source, tmp_path / f"out{ending}", start=start)
    assert written.frames == 25 * LENGTH - 38
    assert not [each for each in warnings if "in the written file" in each or "start of the cut" in each]
    at = np.arange(start + 0.03, LENGTH - 0.2, 0.1)
    levels = heard(tmp_path / f"out{ending}")[: len(at)]
    # Of the tenth from `start` on, 0.08 s are of one stair and 0.02 s of the next.
    expected = [0.03 + 0.03 * (int(round(10 * (start + n / 10), 3)) + 0.2) for n in range(len(levels))]
    loose = 0.12 if ending in (".flv", ".ts", ".avi") and name != "pcm" else 0.06
    assert levels[0] > 0.5 * expected[0], "a part of a frame may lack, not most of a tenth"
    assert levels[1:] == pytest.approx(expected[1:], rel=loose)


def test_what_has_no_place_is_said(tmp_path: Path) -> None:
    """FLAC's frames may be long; Matroska would play much of what was before."""
    source = clip(tmp_path / "in.mkv", "flac", 16384, {"frame_size": "16384"})
    assert times(source, "a:0")[1] == pytest.approx(16384 / RATE, abs=0.001)
    warnings, _ = convert(source, tmp_path / "out.mkv", start=1.52)
    begins = times(tmp_path / "out.mkv", "a:0")[0]
    assert begins > 0.1
    assert any(f"begins {begins:.2f} s after the start of the cut" in each for each in warnings)
    warnings, _ = convert(source, tmp_path / "out.mp4", start=1.52)
    assert warnings == []
    assert heard(tmp_path / "out.mp4")[0] == pytest.approx(0.03 + 0.03 * 15.2, rel=0.06)
