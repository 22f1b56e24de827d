"""What a person sees in a real terminal while a video is drawn, and when Ctrl-C is pressed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from media_clips import make_clip
from paths import ROOT

from streamtoon.media.segments.packet_store import PacketStore
from streamtoon.media.segments.segments import MAX_SEGMENT_FRAMES

if sys.platform == "win32":
    pytest.skip("terminals of POSIX", allow_module_level=True)
import fcntl
import termios

PATIENCE_S = 180
FRAMES = 500
CTRL_C = b"\x03"


class Terminal:
    """A pseudo-terminal with one command in it, and all that it has written there."""

    def __init__(self, *arguments: object) -> None:
        self._ours, theirs = os.openpty()
        command = [sys.executable, "-m", "streamtoon", *map(str, arguments)]
        root = str(ROOT)
        environment = {**os.environ, "PYTHONPATH": root, "TERM": "xterm", "COLUMNS": "110", "LINES": "24"}
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C is a signal
        )
        os.close(theirs)
        self.text = ""

    def read_until(self, pattern: str) -> re.Match[str]:
        """The first match in what is written from now on."""
        start, ends = len(self.text), time.monotonic() + PATIENCE_S
        while not (found := re.compile(pattern).search(self.text, start)):
            assert time.monotonic() < ends, f"{pattern} does not come: {self.text[-2000:]!r}"
            assert self._read(), f"it ended without {pattern}: {self.text[-2000:]!r}"
        return found

    def press(self, key: bytes) -> None:
        os.write(self._ours, key)

    def finish(self) -> int:
        """The exit status."""
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self) -> bool:
        with suppress(OSError):  # Linux says EIO at the end
            raw = os.read(self._ours, 1 << 16).decode("utf-8", "replace")
            self.text += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", raw)
            return bool(raw)
        return False


@contextmanager
def in_terminal(*arguments: object) -> Iterator[Terminal]:
    terminal = Terminal(*arguments)
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key frame, so that every part is as long as parts may be."""
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    times = [512 * n for n in range(FRAMES)]
    return make_clip(path, size=(480, 272), pts=times, audio=None, options={"g": "1000", "sc_threshold": "0"})


def test_the_bar_counts_down_to_the_stop(long_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with in_terminal("video", long_clip, target, "--quality", "lite") as terminal:
        terminal.read_until(r"[1-9]\d*/500 frames")
        terminal.press(CTRL_C)
        terminal.read_until(r"stopping after this part, at most \d+ frames? more")
        assert terminal.finish() == 130
    left = [int(number) for number in re.findall(r"at most (\d+) frames? more", terminal.text)]
    assert left == sorted(left, reverse=True)
    assert left[0] <= MAX_SEGMENT_FRAMES
    with PacketStore(target) as work:
        kept = work.kept
    assert kept and kept % MAX_SEGMENT_FRAMES == 0
    assert f"stopped: {kept} of about 500 frames are finished and stored" in terminal.text.replace("\r\n", "")
    assert "Traceback" not in terminal.text


def test_the_second_ctrl_c_does_not_wait_for_the_part(long_clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with in_terminal("video", long_clip, target, "--quality", "full") as terminal:
        terminal.read_until(r"[1-9]\d*/500 frames")
        terminal.press(CTRL_C)
        terminal.read_until("stopping after this part")
        terminal.press(CTRL_C)
        assert terminal.finish() == 130
    assert "interrupted" in terminal.text or "are finished and stored" in terminal.text
    assert "Traceback" not in terminal.text
    assert not target.exists()
