from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import pytest
from lavfi_clips import make_clip, read_clip, sound_packets
from paths import ROOT
from stopped_runs import wait_until_signals_are_heard
from typer.testing import CliRunner

from streamtoon.cli.app import app
from streamtoon.cli.common import parse_time


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


def _process(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "streamtoon", *map(str, arguments)]
    pipe = subprocess.PIPE
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    return subprocess.Popen(
        command, **{"stdin": pipe, "stdout": pipe, "stderr": pipe, "env": environment, **options}
    )


# --- what it prints ----------------------------------------------------------------------------------


def test_one_line_at_the_end(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    done = CliRunner().invoke(app, ["video", str(clip), str(target), "--style", str(style_folder)])
    assert done.exit_code == 0, done.output
    size = target.stat().st_size
    assert done.stdout.startswith(f"{target} ({size / 1000:.{int(size < 10_000)}f} kB, 0:01): 25 frames in ")
    assert done.stdout.endswith(". Style shaken, quality full.\n")
    assert done.stdout.count("\n") == 1
    assert read_clip(target) == read_clip(clip)


def test_quiet_says_nothing(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["video", str(clip), str(tmp_path / "out.mkv"), "--style", str(style_folder), "-q"]
    )
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_json_is_one_object_with_what_was_promised(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    arguments = ["video", clip, target, "--style", style_folder, "--quality", "fast", "--json", "--to", "0.4"]
    process = _process(*arguments)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    report = json.loads(out)
    assert (report["frames_in"], report["frames_out"]) == (10, 10)
    assert report["fps"] == pytest.approx(10 / report["seconds"], rel=0.02)
    assert set(report["stages"]) == {"decode", "run", "encode"}
    assert all(set(stage) == {"mean_ms", "p95_ms"} for stage in report["stages"].values())
    engine = report["engine"]
    assert {"backend", "device", "precision", "generator", "style", "quality", "scale"} <= set(engine)
    assert (engine["backend"], engine["quality"], engine["scale"]) == ("openvino", "fast", 0.5)
    media = {"path", "width", "height", "duration", "codecs"}
    assert media <= set(report["input"]) & set(report["output"])
    assert report["input"]["path"] == str(clip)
    assert report["output"]["duration"] == pytest.approx(0.4)
    assert report["warnings"] == []
    assert report["reused"] == report["partly_reused"] == 0
    assert report["size_bytes"] == target.stat().st_size
    assert report["alternative"] is None  # nothing to save of so short a clip
    assert b"10 frames in" in err


def test_one_frame_is_one_frame_and_a_detail_is_no_quality(
    clip: Path, style_folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.mkv"
    options = ["--style", str(style_folder), "--to", "0.04", "--detail", "0.5"]
    done = CliRunner().invoke(app, ["video", str(clip), str(target), *options])
    assert done.exit_code == 0, done.output
    assert ": 1 frame in " in done.stdout
    assert done.stdout.endswith("Style shaken, detail 0.5.\n")


def test_lines_where_standard_error_is_no_terminal(
    clip: Path, style_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamtoon.cli.progress.LINE_INTERVAL_S", 0.0)
    done = CliRunner().invoke(
        app, ["video", str(clip), str(tmp_path / "out.mp4"), "--style", str(style_folder)]
    )
    assert "clip.mp4: 25/25 frames, " in done.stderr
    assert " fps, 0:00 left (decode " in done.stderr
    assert done.stderr.rstrip().endswith(" left (writing the file)")
    assert "\x1b" not in done.stderr


# --- options -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("12.5", 12.5), ("90", 90), ("1:02.5", 62.5), ("1:00:02", 3602), ("01:02:03.250", 3723.25)],
)
def test_a_time_is_seconds_or_a_clock(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "options",
    [
        ["--from", "soon"],
        ["--from", "1:60"],
        ["--from", "-1"],
        ["--from", "2", "--to", "1"],
        ["--engine", "tensorflow"],
        ["--quality", "best"],
        ["--detail", "0.1"],
        ["--strength", "2"],
        ["--crf", "many"],
        ["--nonsense"],
    ],
)
def test_wrong_usage_is_2(clip: Path, tmp_path: Path, options: list[str]) -> None:
    done = CliRunner().invoke(app, ["video", str(clip), str(tmp_path / "out.mp4"), *options])
    assert done.exit_code == 2
    assert "Error" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_json_and_a_video_cannot_share_standard_output(clip: Path) -> None:
    done = CliRunner().invoke(app, ["video", str(clip), "-", "--json"])
    assert done.exit_code == 2
    assert done.stdout == ""


def test_every_option_reaches_the_video(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    target.write_bytes(b"old")
    options = (
        "--engine openvino --device cpu --precision fp32 --detail 0.5 --strength 0.7 --codec av1 --crf 40"
    )
    options += " --preset 12 --from 0:00.2 --to 0.6 --side-by-side --overwrite --json"
    done = CliRunner().invoke(
        app, ["video", str(clip), str(target), "--style", str(style_folder), *options.split()]
    )
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["frames_out"] == 10
    assert (report["output"]["width"], report["output"]["codecs"][0]) == (256, "av1")
    engine = report["engine"]
    assert (engine["precision"], engine["quality"], engine["scale"]) == ("fp32", "custom", 0.5)


# --- pipes and folders -------------------------------------------------------------------------------


def test_standard_input_to_standard_output(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    matroska = make_clip(tmp_path / "in.mkv", frames=10)
    process = _process("video", "-", "-", "--style", style_folder)
    out, err = process.communicate(matroska.read_bytes(), timeout=60)
    assert process.returncode == 0, err
    with av.open(io.BytesIO(out), "r") as container:
        assert len(list(container.decode(video=0))) == 10
    assert b"standard output (0.4 s): 10 frames in " in err


def test_a_reader_that_leaves_ends_it_quietly(clip: Path, style_folder: Path) -> None:
    process = _process("video", clip, "-", "--style", style_folder, "--quiet", stdin=subprocess.DEVNULL)
    assert process.stdout
    process.stdout.close()
    assert process.wait(timeout=60) == 1
    assert process.stderr
    assert process.stderr.read() == b""
    process.stderr.close()


def test_closed_standard_input_is_one_sentence(style_folder: Path, tmp_path: Path) -> None:
    process = _process("video", "-", tmp_path / "out.mp4", "--style", style_folder, stdin=subprocess.DEVNULL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith(b"error: standard input ")
    assert err.count(b"\n") == 1


def test_a_folder_becomes_a_folder(style_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    make_clip(tmp_path / "in" / "a.mp4", frames=5)
    make_clip(tmp_path / "in" / "deep" / "b.mkv", frames=5, sound=False)
    (tmp_path / "in" / "broken.mp4").write_bytes(b"no video at all")
    (tmp_path / "in" / "notes.txt").write_text("hello")
    arguments = ["video", str(tmp_path / "in"), str(tmp_path / "out"), "--style", str(style_folder), "--json"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1
    assert sorted(
        path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")
    ) == [
        "a.mp4",
        "deep/b.mkv",
    ]
    files = json.loads(done.stdout)["files"]
    assert [Path(each["input"]["path"]).name for each in files] == ["a.mp4", "broken.mp4", "b.mkv"]
    assert [each.get("frames_out") for each in files] == [5, None, 5]
    assert "broken.mp4" in files[1]["error"]
    assert "notes.txt is not a video" in done.stderr
    assert "error: 1 of 3 files could not be converted: " in done.stderr
    # The whole ones are not touched again without --overwrite, and a second run into itself is refused.
    assert CliRunner().invoke(app, arguments).exit_code == 1
    arguments[2] = arguments[1]
    assert "is the input folder" in CliRunner().invoke(app, arguments).stderr


def test_a_folders_videos_of_a_kind_that_is_not_written_become_matroska(
    style_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    make_clip(tmp_path / "in" / "a.3gp", frames=5)
    make_clip(tmp_path / "in" / "a.mkv", frames=5)
    done = CliRunner().invoke(
        app, ["video", str(tmp_path / "in"), str(tmp_path / "out"), "--style", str(style_folder)]
    )
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.3gp.mkv", "a.mkv"]
    assert read_clip(tmp_path / "out" / "a.3gp.mkv")[0] == read_clip(tmp_path / "out" / "a.mkv")[0]


def test_a_folder_without_videos_is_an_error(style_folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["video", str(tmp_path), str(tmp_path / "out"), "--style", str(style_folder)]
    )
    assert done.exit_code == 1
    assert "no supported file" in done.stderr
    assert not (tmp_path / "out").exists()


# --- interruption ------------------------------------------------------------------------------------


def _interrupted(process: subprocess.Popen[bytes], folder: Path, number: int) -> bytes:
    """Waits for the half-written file, sends the signal, and gives what was said."""
    give_up = time.monotonic() + 120
    while not list(folder.glob(".*")) and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.05)
    process.send_signal(number)
    _, err = process.communicate(timeout=120)
    return err


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_into_a_gif_leaves_nothing(
    style_folder: Path, tmp_path: Path, number: int, code: int
) -> None:
    clip = make_clip(tmp_path / "long.mp4", size="640x480", frames=1000, sound=False)
    (tmp_path / "out").mkdir()
    arguments = ["video", clip, tmp_path / "out" / "out.gif", "--style", style_folder, "--detail", "1"]
    process = _process(*arguments, stdin=subprocess.DEVNULL)
    err = _interrupted(process, tmp_path / "out", number)
    assert process.returncode == code
    assert list((tmp_path / "out").iterdir()) == []
    assert b"Traceback" not in err
    if code == 130:
        assert err.splitlines()[-1] == b"interrupted: no partial files are left."


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals")
@pytest.mark.parametrize("ignored", [True, False])
def test_nohup_is_respected(ignored: bool) -> None:
    code = f"""
import signal, sys
from streamtoon.cli import main
signal.signal(signal.SIGHUP, signal.SIG_IGN if {ignored} else signal.SIG_DFL)
sys.argv = ["streamtoon", "--version"]
try:
    main()
except SystemExit:
    print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == str(ignored)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_ctrl_c_works_while_standard_input_is_silent(
    style_folder: Path, tmp_path: Path, share: float
) -> None:
    content = make_clip(tmp_path / "in.mkv", size="320x240", frames=50, sound=False).read_bytes()
    process = _process("video", "-", tmp_path / "out.mp4", "--style", style_folder)
    assert process.stdin
    process.stdin.write(content[: int(share * len(content))])
    process.stdin.flush()
    wait_until_signals_are_heard(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=240) == 130
    process.communicate()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv"]


def test_sound_is_copied_bit_for_bit(clip: Path, style_folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    CliRunner().invoke(app, ["video", str(clip), str(target), "--style", str(style_folder)])
    assert sound_packets(target) == sound_packets(clip)
