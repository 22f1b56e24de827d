"""`streamtoon webcam` as a person has it: a real window, real keys, a real screen."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from fields_styles import LOOK, save_network
from lavfi_clips import make_clip
from numpy.typing import NDArray
from paths import ROOT
from stream_parts import COMMAND, SLOW_ENGINE
from typer.testing import CliRunner, Result
from x_display import LIMIT, opencv_with_windows, press_close_button, screenshot, until, x_server, xdotool

from engines.common.image_files import read_image
from streamtoon.cli.app import app

pytestmark = pytest.mark.realtime

SCREEN = (1300, 760)
WINDOW = (1280, 720)
"""A picture of 320x180, four times as large."""


@dataclass
class Webcam:
    """The command, on a display."""

    folder: Path
    style: Path
    display: int | None = None
    gui: str = ""
    process: subprocess.Popen[str] = field(init=False)

    def start(self, *arguments: str, program: Sequence[str] = COMMAND) -> None:
        environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [self.gui, str(ROOT)]))
        if self.display is not None:
            environment["DISPLAY"] = f":{self.display}"
        command = [sys.executable, *program, "webcam", "--style", str(self.style), *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=LIMIT)
        assert "Traceback" not in err, err
        return self.process.returncode, out, err

    @property
    def windows(self) -> list[str]:
        assert self.display is not None
        return xdotool(self.display, "search", "--name", "^streamtoon$").split()

    def key(self, key: str) -> None:
        assert self.display is not None
        (window,) = self.windows
        xdotool(self.display, "windowfocus", "--sync", window, "key", key)

    def screen(self) -> NDArray[np.uint8]:
        assert self.display is not None
        assert self.process.poll() is None, self.process.communicate()
        return screenshot(self.display, SCREEN)[: WINDOW[1], : WINDOW[0]]

    def kill(self) -> None:
        """The command and what it has started: the next test's window is the only one there is."""
        if hasattr(self, "process"):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()
        if self.display is not None:
            until(lambda: not self.windows, "a window stays")


@pytest.fixture
def webcam(tmp_path: Path, style_folder: Path) -> Iterator[Webcam]:
    run = Webcam(tmp_path, style_folder)
    yield run
    run.kill()


@pytest.fixture(scope="module")
def display() -> Iterator[int]:
    with x_server(SCREEN) as (number, _):
        yield number


@pytest.fixture
def shown(webcam: Webcam, display: int) -> Webcam:
    webcam.gui, webcam.display = opencv_with_windows(), display
    return webcam


BARS = "lavfi:smptebars=size=320x180:rate=25"
"""Seven plain bars, grey to blue: the outer ones tell a mirrored picture."""


def _bars(screen: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean colours of the first and the last bar, at half the height, away from what is written."""
    row = screen[240:420]
    return row[:, 20:160].mean((0, 1)), row[:, -160:-20].mean((0, 1))


def _is(color: NDArray[np.float64], wanted: tuple[int, int, int]) -> bool:
    return bool(np.abs(color - wanted).max() < 40)


GREY, BLUE = (180, 180, 180), (16, 16, 180)


def test_a_window_shows_it_and_keys_change_it(shown: Webcam) -> None:
    shown.start("--camera", BARS, "--strength", "0.2", "--quality", "fast", "--json")
    until(lambda: _is(_bars(shown.screen())[0], GREY) and _is(_bars(shown.screen())[1], BLUE), "no picture")
    shown.key("m")
    until(lambda: _is(_bars(shown.screen())[0], BLUE), "m does not mirror")

    shown.key("i")
    until(lambda: _is(shown.screen()[4:60, 4:150].mean((0, 1)), BLUE), "i does not take the numbers away")
    before = shown.screen()[500:, 1100:].astype(int)
    shown.key("r")
    until(lambda: np.abs(shown.screen()[:40, -60:].astype(int).mean() - 180) > 20, "r does not say REC")
    until(lambda: list(shown.folder.glob(".*.part")), "r does not record")
    assert np.abs(shown.screen()[500:, 1100:].astype(int) - before).mean() < 20
    shown.key("s")
    until(lambda: list(shown.folder.glob("*.png")), "s does not save")
    shown.key("r")
    until(lambda: list(shown.folder.glob("*.mp4")), "r does not stop recording")
    shown.key("q")
    code, out, err = shown.end()
    assert code == 0, err
    summary = json.loads(out)
    files = sorted(Path(name).suffix for name in summary["files"])
    assert files == [".mp4", ".png"]
    assert summary["pictures"] > 1
    assert 0 < summary["latency_ms"] <= summary["latency_p95_ms"]
    assert not list(shown.folder.glob(".*.part"))

    # Neither the snapshot nor the recording has anything written over the picture.
    for name in summary["files"]:
        image = _first_picture(shown.folder / name)
        assert image.shape == (180, 320, 3)
        assert _is(image[2:30, 2:40].mean((0, 1)), BLUE)
        assert _is(image[2:30, -40:-2].mean((0, 1)), GREY)
        assert image[2:30, -40:-2].std(axis=(0, 1)).max() < 12


def test_arrows_and_brackets_change_the_look(shown: Webcam, tmp_path: Path) -> None:
    shown.style = save_network(tmp_path / "drawn", look=LOOK).folder
    shown.start("--camera", BARS, "--strength", "0.2", "--quality", "full", "--json")
    until(lambda: _is(_bars(shown.screen())[0], GREY), "no picture")

    def is_written() -> bool:
        """Light letters on a dark ground, at the bottom in the middle."""
        panel = shown.screen()[-80:-8, 560:720].astype(int)
        return bool((panel > 200).any() and np.median(panel) < 110)

    until(lambda: not is_written(), "the first message stays")
    for key in ("Left", "bracketright", "Right", "minus", "0"):
        shown.key(key)
        until(is_written, f"{key} says nothing")
        until(lambda: not is_written(), f"what {key} says stays")
    shown.key("q")
    code, out, err = shown.end()
    assert code == 0, err
    assert json.loads(out)["pictures"] > 1


def test_a_file_loops_fills_the_screen_and_comes_back(shown: Webcam) -> None:
    if shutil.which("openbox") is None:
        pytest.skip(
            "openbox is not installed (Debian: apt install openbox): a window asks for the screen there"
        )
    environment = os.environ | {"DISPLAY": f":{shown.display}"}
    manager = subprocess.Popen(["openbox"], env=environment, stderr=subprocess.DEVNULL)
    try:
        _check_the_full_screen(shown)
    finally:
        manager.kill()
        manager.wait()


def _check_the_full_screen(shown: Webcam) -> None:
    assert shown.display is not None
    display = shown.display
    make_clip(shown.folder / "in.mp4", size="320x180")  # one second
    shown.start("--camera", "in.mp4", "--quality", "fast", "--json")

    def is_filled() -> bool:
        """The window is as large as the screen, and the picture reaches its left and right ends."""
        (window,) = shown.windows
        if f"Geometry: {SCREEN[0]}x{SCREEN[1]}" not in xdotool(display, "getwindowgeometry", window):
            return False
        rows = screenshot(display, SCREEN)[200:500]
        return bool(rows[:, :20].std() > 5 and rows[:, -20:].std() > 5)

    until(lambda: shown.windows, "no window")
    until(lambda: screenshot(display, SCREEN)[300:420].std() > 20, "no picture")
    assert not is_filled()
    shown.key("f")
    until(is_filled, "f does not fill the screen")
    shown.key("Escape")
    until(lambda: not is_filled(), "Escape does not leave the full screen")
    assert shown.process.poll() is None
    shown.key("f")
    until(is_filled, "f does not fill the screen again")
    shown.key("f")
    until(lambda: not is_filled(), "f does not leave the full screen")
    time.sleep(3)  # longer than the file
    shown.key("q")
    code, out, err = shown.end()
    assert code == 0, err
    summary = json.loads(out)
    assert summary["pictures"] + summary["dropped"] > 25  # more than the file has
    assert summary["seconds"] > 3


def _first_picture(path: Path) -> NDArray[np.uint8]:
    if path.suffix == ".png":
        return read_image(path)
    with av.open(str(path)) as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray(format="rgb24"))


def test_compare_follows_the_mouse_and_the_close_button_quits(shown: Webcam) -> None:
    # At strength 1 the style changes the colours of the bars; the source has them as they are.
    shown.start("--camera", BARS, "--quality", "fast")
    until(lambda: shown.screen()[240:420, -160:-20, 2].mean() > 100, "no picture")
    until(lambda: (shown.screen()[240:420] == shown.screen()[240:420]).all(), "it is painted for ever")
    drawn = shown.screen()[240:420].astype(int)
    shown.key("c")
    assert shown.display is not None
    for x in (400, 900):
        xdotool(shown.display, "mousemove", str(x), "300")
        until(partial(_is_divided, shown, x, drawn), f"nothing is divided at {x}")
    press_close_button(shown.display, int(shown.windows[0]))
    code, out, err = shown.end()
    assert code == 0, err
    assert "frames in" in out


def _is_divided(shown: Webcam, x: int, drawn: NDArray[np.int_]) -> bool:
    """There is a line, and the cartoon is as before to the right of it and only there."""
    screen = shown.screen()[240:420].astype(int)
    line = np.all(np.any(np.all(screen[:, x - 3 : x + 3] > 250, 2), 1))
    left = np.abs(screen[:, : x - 20] - drawn[:, : x - 20]).mean()
    right = np.abs(screen[:, x + 20 :] - drawn[:, x + 20 :]).mean()
    return bool(line and right < 2 < left)


def test_a_camera_that_is_gone_is_waited_for_in_the_window(shown: Webcam) -> None:
    with x_server((320, 180)) as (camera, server):
        shown.start("--camera", f"x11grab::{camera}", "--quality", "fast")
        # An empty screen, and numbers over it; an empty window is light.
        until(lambda: shown.screen()[300:500, 100:1000].max() < 100, "no picture")
        until(lambda: shown.screen()[4:60, 4:150].max() > 200, "no numbers")
        until(lambda: shown.screen()[-40:, 560:720].max() < 100, "the greeting stays")
        server.kill()
        server.wait()
        until(lambda: shown.screen()[-40:, 560:720].max() > 200, "nothing is said")
        with x_server((320, 180), camera):
            until(lambda: shown.screen()[-40:, 560:720].max() < 100, "it is not found again")
            shown.process.send_signal(signal.SIGTERM)
            code, _, err = shown.end()
            assert code == 0, err


def test_a_signal_ends_it_well_and_the_recording_has_true_times(webcam: Webcam) -> None:
    # Of 25 pictures a second two are drawn at most: those that are dropped leave gaps.
    arguments = ("--no-window", "--record", "out.mp4", "--quality", "full", "--json")
    webcam.start("--camera", BARS, *arguments, program=SLOW_ENGINE)
    assert webcam.process.stderr is not None
    assert "320x180 at 25 fps" in webcam.process.stderr.readline()
    while " 0 dropped" in (line := webcam.process.stderr.readline()):  # lines that come now and then
        pass
    assert "dropped" in line
    webcam.process.send_signal(signal.SIGINT)
    code, out, err = webcam.end()
    assert code == 0, err
    summary = json.loads(out)
    assert summary["files"] == ["out.mp4"]
    assert summary["dropped"] > 0
    with av.open(str(webcam.folder / "out.mp4")) as container:
        times = [float(frame.time or 0) for frame in container.decode(video=0)]
    assert len(times) == summary["pictures"]
    assert times[0] == 0
    assert np.diff(times).min() > 0
    # What was dropped leaves a gap in time, not a shorter film.
    assert 0.25 * (len(times) - 1) < times[-1] < summary["seconds"] + 1
    assert not list(webcam.folder.glob(".*"))


# --- in this process: nothing here needs one of its own ----------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, without a display."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    return tmp_path


def _webcam(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["webcam", *arguments])


def test_a_file_in_the_cameras_place_ends_by_itself(here: Path, style_folder: Path) -> None:
    make_clip(here / "in.mp4", size="320x180")
    options = ["--no-window", "--record", "out.mkv", "--quality", "fast", "--style", str(style_folder)]
    done = _webcam("--camera", "in.mp4", *options, "--json")
    assert done.exit_code == 0, done.output
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["pictures"] + summary["dropped"] == 25
    assert summary["seconds"] >= 0.95
    assert (here / "out.mkv").is_file()


def test_without_a_display_or_windows_it_says_what_to_do(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = _webcam("--camera", BARS)
    assert done.exit_code == 1
    if not cv2.currentUIFramework():
        assert "pip install --force-reinstall --no-deps opencv-python" in done.stderr
    assert "`streamtoon serve`" in done.stderr
    assert done.stderr.count("\n") == 1
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([opencv_with_windows(), str(ROOT)]))
    done = _webcam("--camera", BARS)
    assert done.exit_code == 1
    assert "there is no display" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--no-window"], 2, "--no-window needs --virtual-camera or --record"),
        (["--size", "big"], 2, "use WIDTHxHEIGHT"),
        (["--camera", "63", "--no-window", "--record", "a.mp4"], 1, "there is no camera 63"),
        (["--camera", BARS, "--no-window", "--record", "a.txt"], 1, "is not a supported video format"),
        (["--camera", BARS, "--no-window", "--record", "no/a.mp4"], 1, "does not exist"),
    ],
)
def test_what_cannot_be_is_one_sentence(here: Path, arguments: list[str], code: int, said: str) -> None:
    done = _webcam(*arguments)
    assert done.exit_code == code
    assert said in " ".join(done.stderr.split())
    assert not list(here.iterdir())


@pytest.mark.usefixtures("here")
@pytest.mark.skipif(sys.platform != "linux", reason="v4l2loopback is Linux's")
def test_a_missing_virtual_camera_is_told_with_the_command_that_creates_it() -> None:
    pytest.importorskip("pyvirtualcam")
    if list(Path("/sys/devices/virtual/video4linux").glob("*")):
        pytest.skip("there is one")
    done = _webcam("--camera", BARS, "--no-window", "--virtual-camera")
    assert done.exit_code == 1
    assert "sudo modprobe v4l2loopback" in done.stderr
