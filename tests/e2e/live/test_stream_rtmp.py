"""`streamtoon stream` to and from RTMP servers that are killed and come back."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from stream_parts import (
    HANG,
    count_and_beep,
    ffmpeg,
    free_port,
    needs_ffmpeg,
    received,
    stream,
    wait_for,
    wait_for_listener,
    written,
)

pytestmark = [needs_ffmpeg, pytest.mark.realtime]
SYNC = 0.040
"""Seconds by which sound may be early or late."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return count_and_beep(tmp_path_factory.mktemp("clip") / "clip.mp4", 4)


def test_a_server_that_is_killed_gets_the_stream_again_at_a_key_frame(clip: Path, tmp_path: Path) -> None:
    port = free_port()
    url = f"rtmp://127.0.0.1:{port}/live/secret"
    first, second = tmp_path / "first.flv", tmp_path / "second.flv"
    with ffmpeg("-listen", "1", "-i", url, "-c", "copy", first) as server:
        wait_for_listener(port)
        with stream(clip, url, "--loop", "--keyframe-interval", "1") as running:
            wait_for(lambda: first.exists() and first.stat().st_size > 130_000)
            server.kill()
            server.wait()
            with ffmpeg("-listen", "1", "-i", url, "-c", "copy", second) as server:
                wait_for(lambda: second.exists() and second.stat().st_size > 160_000)
                summary = running.stop()
                server.wait(HANG)
    assert summary["target_reconnects"] == 1
    assert summary["lost"] > 0
    assert "secret" not in summary["stderr"] + summary["target"]
    source = received(clip)
    for path in (first, second):
        got = received(path)
        assert got.keys[0]
        assert got.rises()
        # Silence is the same packet again and again, beeps are not.
        assert len(set(got.sound)) > 4
        assert set(got.sound) <= set(source.sound), "sound is passed through bit by bit"
        assert got.offsets
        assert max(map(abs, got.offsets)) <= SYNC
        gaps = np.diff([t for t, key in zip(got.dts["video"], got.keys, strict=True) if key])
        assert 0.96 < min(gaps) <= max(gaps) < 1.04 + got.gap, "a key frame comes with a frame"


def test_a_source_that_is_killed_is_connected_to_again(clip: Path, tmp_path: Path) -> None:
    port = free_port()
    url = f"rtmp://127.0.0.1:{port}/live/secret"
    target = tmp_path / "out.mkv"
    serve = ("-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "flv", "-listen", "1", url)
    with ffmpeg(*serve) as server:
        wait_for_listener(port)
        with stream(url, target, "--keyframe-interval", "1") as running:
            wait_for(lambda: written(tmp_path) > 80_000)
            server.kill()
            server.wait()
            time.sleep(4)
            size = written(tmp_path)
            with ffmpeg(*serve):
                wait_for(lambda: written(tmp_path) > size + 120_000)
                summary = running.stop()
    assert summary["source_reconnects"] == 1
    assert "secret" not in summary["stderr"] + summary["source"]
    got = received(target)
    assert got.rises()
    assert got.times[-1] - got.times[0] > 6
    assert got.gap < 3.5, "the last picture stays while the source is away"
    assert set(got.sound) <= set(received(clip).sound)
    assert len(got.offsets) >= 2
    assert max(map(abs, got.offsets)) <= SYNC


def test_no_server_listens(clip: Path, tmp_path: Path) -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/secret"
    with stream(clip, url) as running:
        said = running.failed()
    shown = url.replace("secret", "***")
    assert said == f"error: {shown} cannot be written: connection refused."
    with stream(url, tmp_path / "out.mkv") as running:
        said = running.failed()
    assert said == f"error: {shown} cannot be opened: connection refused."
    with stream(url, tmp_path / "out.mkv", "--retry", "--give-up", "1") as running:
        assert running.failed() == f"{said} Gave up after 1 seconds."
    assert not list(tmp_path.iterdir())


def test_with_retry_both_ends_are_waited_for(clip: Path, tmp_path: Path) -> None:
    source, target = (f"rtmp://127.0.0.1:{free_port()}/live/x" for _ in range(2))
    serve = ("-re", "-stream_loop", "-1", "-i", clip, "-c", "copy", "-f", "flv", "-listen", "1", source)
    there = tmp_path / "there.flv"
    with stream(source, target, "--retry") as running:
        time.sleep(1.5)
        with ffmpeg(*serve), ffmpeg("-listen", "1", "-i", target, "-c", "copy", there):
            wait_for(lambda: there.exists() and there.stat().st_size > 50_000)
            summary = running.stop()
    assert summary["source_reconnects"] == summary["target_reconnects"] == 0
    assert summary["pictures_out"] > 5
    assert received(there).rises()
