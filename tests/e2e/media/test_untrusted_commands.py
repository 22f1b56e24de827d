"""The command with pipes, terminals and names from strangers: it ends, and opens only what is meant."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import corpus
import pytest
from media_clips import facts, make_clip
from paths import ROOT
from stopped_runs import wait_until_signals_are_heard

from streamtoon.media.reader.open_timeout import OPEN_TIMEOUT_S

HANG = 240
"""Seconds after which something hangs, on a machine that is busy with other things as well."""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="named pipes and terminals of POSIX")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mkv")


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_ctrl_c_works_while_a_pipe_is_silent(tmp_path: Path, share: float) -> None:
    clip = make_clip(tmp_path / "in.mkv", size=(320, 240), audio=None)
    os.mkfifo(tmp_path / "pipe.mkv")
    command = [
        sys.executable,
        "-m",
        "streamtoon",
        "video",
        str(tmp_path / "pipe.mkv"),
        str(tmp_path / "out.mkv"),
    ]
    process = subprocess.Popen([*command, "--strength", "0"], cwd=ROOT, stderr=subprocess.PIPE)
    with (tmp_path / "pipe.mkv").open("wb") as pipe:
        content = clip.read_bytes()
        pipe.write(content[: int(share * len(content))])
        pipe.flush()
        wait_until_signals_are_heard(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=HANG) == 130
    process.communicate()
    assert {path.name for path in tmp_path.iterdir()} == {"in.mkv", "pipe.mkv"}


def test_a_terminal_types_no_video(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "streamtoon", "video", "-", str(tmp_path / "out.mp4")]
    try:
        done = subprocess.run(
            command, stdin=theirs, capture_output=True, text=True, cwd=ROOT, timeout=HANG, check=False
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard input is a terminal")


def test_the_command_ends_within_half_a_minute(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    assert OPEN_TIMEOUT_S < 30
    command = [sys.executable, "-m", "streamtoon", "video", str(pipe), str(tmp_path / "out.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=HANG, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "nobody writes to" in done.stderr


def test_a_video_is_not_written_to_a_terminal(clip: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "streamtoon", "video", str(clip), "-"],
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            check=False,
            timeout=HANG,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 1
    assert b"terminal" in done.stderr and done.stderr.count(b"\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="names that other file systems do not take")
def test_any_name_goes_in_and_comes_out(tmp_path: Path, clip: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    for name in corpus.NAMES:
        shutil.copy(os.fsencode(clip), os.fsencode(folder) + b"/" + name)
    command = [sys.executable, "-m", "streamtoon", "video", str(folder), str(tmp_path / "out")]
    done = subprocess.run(
        [*command, "--strength", "0"], capture_output=True, text=True, cwd=ROOT, timeout=HANG, check=False
    )
    assert done.returncode == 0, done.stderr
    assert {os.fsencode(path.name) for path in (tmp_path / "out").iterdir()} == set(corpus.NAMES)
    assert done.stdout.count(" frames in ") == len(corpus.NAMES)
    for path in (tmp_path / "out").iterdir():
        assert len(facts(path).times) == 25


def test_a_name_that_begins_with_a_dash_is_a_file_after_two_dashes(tmp_path: Path, clip: Path) -> None:
    shutil.copy(clip, tmp_path / "-in.mkv")
    command = [sys.executable, "-m", "streamtoon", "video", "--strength", "0", "--", "-in.mkv", "-out.mkv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=HANG, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "-out.mkv").exists()
