"""`streamtoon stream` from an RTSP camera that wants a password, goes away and comes back."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from rtsp_server import RtspServer
from stream_parts import flash_and_beep, needs_ffmpeg, received, stream, wait_for

pytestmark = needs_ffmpeg


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return flash_and_beep(tmp_path_factory.mktemp("clip") / "clip.mp4", 8)


def test_a_camera_that_goes_away_and_comes_back(clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with RtspServer(clip, tmp_path, "secret") as camera:
        port = camera.port
        url = f"rtsp://ann:secret@127.0.0.1:{port}/live"
        running = stream(url, target)
        process = running.__enter__()
        wait_for(lambda: any(file.stat().st_size > 100_000 for file in tmp_path.glob(".out.mkv.*")))
    time.sleep(1)
    with RtspServer(clip, tmp_path, "secret", port):
        size = max(file.stat().st_size for file in tmp_path.glob(".out.mkv.*"))
        wait_for(lambda: any(file.stat().st_size > size + 100_000 for file in tmp_path.glob(".out.mkv.*")))
        summary = process.stop()
    running.__exit__(None, None, None)
    assert summary["source_reconnects"] == 1
    assert summary["source"] == f"rtsp://***@127.0.0.1:{port}/live"
    assert "secret" not in summary["stderr"]
    got = received(target)
    assert got.rises
    assert max(np.diff(got.times)) < 2, "the last picture stays while the source is away"
    assert set(got.sound) <= set(received(clip).sound)
    assert len(got.offsets) >= 2
    # The server's two RTP muxers begin their clocks up to some 60 ms apart: that much is not ours.
    assert max(map(abs, got.offsets)) <= 0.1


def test_a_wrong_password(clip: Path, tmp_path: Path) -> None:
    with (
        RtspServer(clip, tmp_path, "secret") as camera,
        stream(f"rtsp://ann:wrong@127.0.0.1:{camera.port}/live", tmp_path / "out.mkv") as running,
    ):
        said = running.failed()
    shown = f"rtsp://***@127.0.0.1:{camera.port}/live"
    assert said == (
        f"error: {shown} cannot be opened: it wants a name and a password, or others, in the address (401)."
    )
