"""The command with an MP4 on standard input: a file behind it is read by seeking, a pipe cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from media_clips import make_clip

from streamtoon.media import VideoReader


def _video(*arguments: object, stdin: int | IO[bytes]) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "streamtoon", "video", "-", *map(str, arguments)]
    return subprocess.run(command, stdin=stdin, capture_output=True, check=False, timeout=300)


def test_an_mp4_with_its_index_behind_is_read_from_a_file_and_refused_from_a_pipe(
    style_folder: Path, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "in.mp4")
    target = tmp_path / "out.mkv"
    with clip.open("rb") as file:
        done = _video(target, "-s", style_folder, stdin=file)
    assert done.returncode == 0, done.stderr
    with VideoReader(target) as source:
        assert len(list(source.frames())) == 25
    reading, writing = os.pipe()
    feeder = threading.Thread(target=_feed, args=(writing, clip.read_bytes()))
    feeder.start()
    done = _video(tmp_path / "none.mkv", "-s", style_folder, stdin=reading)
    os.close(reading)
    feeder.join()
    assert done.returncode == 1
    assert b"index at the end" in done.stderr and done.stderr.count(b"\n") == 1
    assert not (tmp_path / "none.mkv").exists()


def _feed(pipe: int, data: bytes) -> None:
    try:
        with os.fdopen(pipe, "wb") as file:
            file.write(data)
    except BrokenPipeError:
        pass
