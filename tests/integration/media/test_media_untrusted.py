"""Files from strangers open nothing but themselves, and nobody waits for ever for what a path names."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import av
import corpus
import pytest
from media_clips import convert, facts, make_clip
from paths import ROOT
from stopped_runs import wait_until_signals_are_heard

from streamtoon.errors import InputError
from streamtoon.media import VideoReader, probe
from streamtoon.media.reader import allowlist, opening
from streamtoon.media.reader.open_timeout import OPEN_TIMEOUT_S, TimeoutPipe, run_with_timeout

HANG = 240
"""Seconds after which something hangs, on a machine that is busy with other things as well."""
UNIX = pytest.mark.skipif(sys.platform == "win32", reason="named pipes, devices, users")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mkv")


@pytest.fixture
def door() -> Iterator[socket.socket]:
    """A server that notices whoever calls."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(0.05)
        yield server


def refusal(path: Path | str) -> str:
    with pytest.raises(InputError) as error:
        VideoReader(path)
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text
    return text


# --- nothing else is opened ----------------------------------------------------------------------------


def test_playlists_are_refused_and_what_they_name_is_not_asked_for(
    tmp_path: Path, door: socket.socket
) -> None:
    files = list(corpus.playlists(tmp_path, door.getsockname()[1]))
    assert len(files) > 20
    for path in files:
        assert "playlist" in refusal(path) or "not a readable video" in refusal(path)
    with pytest.raises(TimeoutError):
        door.accept()


def test_the_same_playlists_would_be_followed_without_the_list(tmp_path: Path) -> None:
    """The attack is real: FFmpeg left alone plays what they name."""
    with av.open(str(next(p for p in corpus.playlists(tmp_path, 9) if "hls" in p.name))) as file:
        assert file.streams.video


@pytest.mark.parametrize(
    "scheme", ["http", "https", "rtsp", "rtmp", "concat", "subfile", "data", "lavfi", "ftp"]
)
def test_an_address_is_no_file(scheme: str, door: socket.socket) -> None:
    assert "is a URL" in refusal(f"{scheme}://127.0.0.1:{door.getsockname()[1]}/film.mp4")
    with pytest.raises(TimeoutError):
        door.accept()


@pytest.mark.parametrize(
    "name", ["concat:a.ts|b.ts", "subfile,,start,0,end,9,,:in.mkv", "data:video/mp4;base64,AAAA"]
)
def test_what_looks_like_a_protocol_is_a_file_name(name: str, tmp_path: Path, clip: Path) -> None:
    assert "does not exist" in refusal(tmp_path / name)
    if "/" not in name:
        shutil.copy(clip, tmp_path / name)
        assert probe(tmp_path / name).width == 64


def test_a_number_pattern_is_a_file_name(tmp_path: Path) -> None:
    photo = make_clip(tmp_path / "a.jpg", codec="mjpeg", pixel_format="yuvj420p", audio=None, pts=[0])
    shutil.copy(photo, tmp_path / "a001.jpg")
    assert "does not exist" in refusal(tmp_path / "a%03d.jpg")
    shutil.copy(photo, tmp_path / "a%03d.jpg")
    with VideoReader(tmp_path / "a%03d.jpg") as source:
        assert sum(1 for _ in source.frames()) == 1


def test_the_list_names_demuxers_that_there_are() -> None:
    there = {name for each in av.formats_available for name in each.split(",")}
    assert set(allowlist.FORMATS) <= there
    assert not {"hls", "concat", "dash", "imf", "sdp", "rtsp", "lavfi", "vobsub", "tty"} & set(
        allowlist.FORMATS
    )


def test_too_many_streams_are_refused(tmp_path: Path) -> None:
    with patch.object(opening, "MAX_STREAMS", 8):
        assert "limit is 8" in refusal(corpus.many_streams(tmp_path, 8, 1))
    assert opening.MAX_STREAMS == 512


# --- nobody waits for ever -----------------------------------------------------------------------------


@UNIX
def test_a_pipe_with_a_writer_is_read(tmp_path: Path, clip: Path) -> None:
    pipe = tmp_path / "pipe.mkv"
    os.mkfifo(pipe)
    writer = subprocess.Popen(["sh", "-c", f"sleep 0.3; cat {clip} > {pipe}"])
    convert(pipe, tmp_path / "out.mkv")
    assert writer.wait(timeout=HANG) == 0
    assert facts(tmp_path / "out.mkv").times == facts(clip).times


@UNIX
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_pipe_that_falls_silent_is_given_up(tmp_path: Path, clip: Path, share: float) -> None:
    pipe = tmp_path / "pipe.mkv"
    os.mkfifo(pipe)
    content = clip.read_bytes()
    writer = os.open(pipe, os.O_RDWR)  # which waits for no reader, and stays
    os.set_blocking(writer, False)  # a part that is too long for the pipe is an error, not a wait
    os.write(writer, content[: int(len(content) * share)])
    try:
        with (
            patch.object(opening, "OPEN_TIMEOUT_S", 0.6),
            pytest.raises(InputError, match="no data arrived for"),
        ):
            convert(pipe, tmp_path / "out.mkv")
    finally:
        os.close(writer)
    assert not (tmp_path / "out.mkv").exists()


@UNIX
def test_a_wait_for_a_pipe_can_be_ended(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    file = TimeoutPipe(pipe, 10 * HANG)
    threading.Timer(0.2, file.stop).start()
    began = time.monotonic()
    assert file.read() == b""
    assert time.monotonic() - began < HANG
    file.close()
    file.close()


@UNIX
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


def test_what_gives_no_answer_is_given_up_and_closed_later() -> None:
    late: list[int] = []
    came = threading.Event()
    with pytest.raises(InputError, match="opening film timed out"):
        run_with_timeout(0.1, lambda: came.wait(HANG) and 7, late.append, "film")
    came.set()
    until = time.monotonic() + HANG
    while not late and time.monotonic() < until:
        time.sleep(0.02)
    assert late == [7]
    assert run_with_timeout(HANG, lambda: 3, late.append, "film") == 3
    with pytest.raises(ZeroDivisionError):
        run_with_timeout(HANG, lambda: 1 // 0, late.append, "film")


@UNIX
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


@UNIX
@pytest.mark.e2e
def test_the_command_ends_within_half_a_minute(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    assert OPEN_TIMEOUT_S < 30
    command = [sys.executable, "-m", "streamtoon", "video", str(pipe), str(tmp_path / "out.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=HANG, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "nobody writes to" in done.stderr


# --- places and names ----------------------------------------------------------------------------------


@UNIX
def test_a_file_that_may_not_be_read_says_so(clip: Path) -> None:
    code = (
        "import os, sys\n"
        "from streamtoon.media import probe\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: probe(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "in.mkv"
        shutil.copy(clip, path)
        path.chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=ROOT, check=False
        )
    assert done.stdout == f"InputError {path} cannot be opened: permission denied.\n", done.stderr


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


@UNIX
def test_a_name_that_begins_with_a_dash_is_a_file_after_two_dashes(tmp_path: Path, clip: Path) -> None:
    shutil.copy(clip, tmp_path / "-in.mkv")
    command = [sys.executable, "-m", "streamtoon", "video", "--strength", "0", "--", "-in.mkv", "-out.mkv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=HANG, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "-out.mkv").exists()
