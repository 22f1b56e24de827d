"""Sound of cameras and old files in `stream`: carried, re-encoded or left out with a warning."""

from __future__ import annotations

import subprocess
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
from rtsp_server import RtspServer
from stream_parts import FFMPEG, HANG, ffmpeg, free_port, needs_ffmpeg, stream, wait_for, wait_for_listener

from streamtoon.media.network.sink import Coding, NetworkSink
from streamtoon.media.network.source import NetworkSource
from streamtoon.media.network.targets import StreamTarget

pytestmark = [needs_ffmpeg, pytest.mark.realtime]
PITCH = 440
"""Hertz of the tone in every clip."""
SOUNDS = {
    "pcm_mulaw.mkv": 8000,
    "pcm_mulaw.avi": 8000,
    "pcm_alaw.mov": 8000,
    "g722.mkv": 16000,
    "g726.avi": 8000,
    "adpcm_ima_wav.avi": 22050,
    "adpcm_ms.avi": 22050,
    "adpcm_ima_qt.mov": 22050,
    "adpcm_swf.flv": 22050,
    "wmav1.asf": 44100,
    "wmav2.wmv": 44100,
    "nellymoser.flv": 22050,
    "pcm_bluray.m2ts": 48000,
    "alac.mov": 48000,
}
"""Codec and container, and samples a second."""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process nothing waits for its time."""
    monkeypatch.setattr(NetworkSource, "_pace", lambda *_: monotonic())


def clip_of(name: str, folder: Path, seconds: int = 2) -> Path:
    path = folder / name
    pictures = "flv" if path.suffix == ".flv" else "mpeg4" if path.suffix in (".avi", ".asf") else "libx264"
    tone = f"sine=frequency={PITCH}:sample_rate={SOUNDS[name]}"
    inputs = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25", "-f", "lavfi", "-i", tone]
    coding = ["-t", str(seconds), "-c:v", pictures, "-g", "25", "-bf", "0", "-c:a", path.stem, "-ac", "1"]
    subprocess.run([FFMPEG or "", "-v", "error", *inputs, *coding, "-y", str(path)], check=True, timeout=HANG)
    return path


def heard(path: Path) -> tuple[float, float]:
    """Seconds of sound in a file, and its loudest pitch, as the command ffmpeg decodes it."""
    to_samples = ["-vn", "-f", "f32le", "-ac", "1", "-ar", "16000", "-"]
    command = [FFMPEG or "", "-v", "error", "-i", str(path), *to_samples]
    done = subprocess.run(command, check=True, capture_output=True, timeout=HANG)
    samples = np.frombuffer(done.stdout, np.float32)
    loud: Any = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return len(samples) / 16000, float(loud.argmax() * 16000 / len(samples))


@pytest.mark.parametrize("name", SOUNDS)
def test_sound_of_every_kind_arrives(name: str, tmp_path: Path) -> None:
    clip = clip_of(name, tmp_path)
    for target in ("out.mkv", "out.flv", "out.ts", "out.mp4"):
        with NetworkSource(str(clip), latency=0.5) as source:
            sink = NetworkSink(
                StreamTarget(str(tmp_path / target), source=None, overwrite=False),
                source, Coding(None, 1), retry=False, tell=print,
            )  # fmt: skip
            for item in source:
                sink.write(item)
            sink.close()
            assert source.warnings == []
        seconds, pitch = heard(tmp_path / target)
        assert 1.6 < seconds < 2.2, (target, sink.warnings)
        assert pitch == pytest.approx(PITCH, abs=3), (target, sink.warnings)


def test_sound_that_nothing_here_can_describe_is_left_out_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("format does not support codec")

    clip = clip_of("alac.mov", tmp_path)
    monkeypatch.setattr("streamtoon.media.network.connection.add_copy", refuse)
    with NetworkSource(str(clip), latency=0.5) as source:
        sink = NetworkSink(
            StreamTarget(str(tmp_path / "out.mkv"), source=None, overwrite=False),
            source, Coding(None, 1), retry=False, tell=print,
        )  # fmt: skip
        for item in source:
            sink.write(item)
        sink.close()
    assert source.warnings == ["The audio (alac) cannot be copied by this FFmpeg: it is left out."]
    probe = subprocess.run(
        [FFMPEG or "", "-hide_banner", "-i", tmp_path / "out.mkv"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Video: h264" in probe.stderr and "Audio:" not in probe.stderr


def test_a_camera_with_g711_is_published_by_rtmp(tmp_path: Path) -> None:
    clip = clip_of("pcm_mulaw.mkv", tmp_path, 4)
    port, there = free_port(), tmp_path / "there.flv"
    url = f"rtmp://127.0.0.1:{port}/live/x"
    with (
        RtspServer(clip, tmp_path, "secret") as camera,
        ffmpeg("-listen", "1", "-i", url, "-c", "copy", there) as server,
    ):
        wait_for_listener(port)
        with stream(f"rtsp://ann:secret@127.0.0.1:{camera.port}/live", url) as running:
            wait_for(lambda: there.exists() and there.stat().st_size > 40_000)
            running.stop()
            server.wait(HANG)
    seconds, pitch = heard(there)
    assert seconds > 1
    assert pitch == pytest.approx(PITCH, abs=3)
