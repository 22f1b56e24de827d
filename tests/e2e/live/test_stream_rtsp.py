"""`streamtoon stream` from an RTSP camera that wants a password, goes away and comes back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from rtsp_server import RtspServer
from stream_parts import count_and_beep, needs_ffmpeg, received, stream, wait_for, written

pytestmark = [needs_ffmpeg, pytest.mark.realtime]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return count_and_beep(tmp_path_factory.mktemp("clip") / "clip.mp4", 4)


def test_a_camera_that_goes_away_and_comes_back(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with RtspServer(clip, tmp_path, "secret") as camera:
        port = camera.port
        url = f"rtsp://ann:secret@127.0.0.1:{port}/live"
        running = stream(url, target, "--keyframe-interval", "1")
        process = running.__enter__()
        wait_for(lambda: written(tmp_path) > 60_000)
    time.sleep(4)
    with RtspServer(clip, tmp_path, "secret", port):
        size = written(tmp_path)
        wait_for(lambda: written(tmp_path) > size + 70_000)
        summary = process.stop()
    running.__exit__(None, None, None)
    assert summary["source_reconnects"] == 1
    assert summary["source"] == f"rtsp://***@127.0.0.1:{port}/live"
    assert "secret" not in summary["stderr"]
    got = received(target)
    assert got.rises()
    assert got.gap < 3.5, "the last picture stays while the source is away"
    assert set(got.sound) <= set(received(clip).sound)
    assert len(got.offsets) >= 2
    assert max(map(abs, got.offsets)) <= 0.040


def test_a_wrong_password(clip: Path, tmp_path: Path) -> None:
    with (
        RtspServer(clip, tmp_path, "secret") as camera,
        stream(f"rtsp://ann:wrong@127.0.0.1:{camera.port}/live", tmp_path / "out.mkv") as running,
    ):
        said = running.failed()
    shown = f"rtsp://***@127.0.0.1:{camera.port}/live"
    assert said == (
        f"error: {shown} cannot be opened: it requires a valid user name and password in the address (401)."
    )
