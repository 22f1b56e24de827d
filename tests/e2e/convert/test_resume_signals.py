"""The first signal finishes the current part, the second stops at once, and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from media_clips import make_clip
from paths import ROOT

from streamtoon.media.segments.packet_store import PacketStore


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    return make_clip(path, size=(160, 120), pts=[512 * n for n in range(2000)], audio=None)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    "numbers, code", [([signal.SIGINT], 130), ([signal.SIGTERM], 143), ([signal.SIGINT] * 2, 130)]
)
def test_signals(long_clip: Path, tmp_path: Path, numbers: list[signal.Signals], code: int) -> None:
    target = tmp_path / "out.mp4"
    root = ROOT
    command = [sys.executable, "-m", "streamtoon", "video", str(long_clip), str(target), "--quality", "fast"]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root)}
    )
    unfinished = Path(f"{target}.unfinished")
    while not (unfinished.exists() and unfinished.stat().st_size > 50_000):
        assert process.poll() is None
        threading.Event().wait(0.02)
    for number in numbers:
        process.send_signal(number)
        threading.Event().wait(0.2)
    _, said = process.communicate(timeout=120)
    assert process.returncode == code, said
    assert "stopping after the current part" in said
    assert "run the same command to resume" in said
    assert "Traceback" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.mp4.unfinished"]
    with PacketStore(target) as work:
        work.load()
        assert 120 <= work.frames < 2000


def test_ctrl_c_at_the_very_end_is_not_heard() -> None:
    code = """
import atexit, signal
from streamtoon.cli.app import main
atexit.register(signal.raise_signal, signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
main()
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
