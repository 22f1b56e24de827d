"""Defaults of options: from a TOML file, from the environment, and which of them counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streamtoon.api import Cartoonizer
from streamtoon.cli.app import app
from streamtoon.errors import InputError

FILE = """
style = "ink"
quality = "lite"
strength = 0.5

[video]
codec = "hevc"
crf = 22
from = 1
to = "0:02"
on_error = "stop"
overwrite = true
look = ["levels=4", "line_width=2"]
size = "720p"
"""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What reaches a Cartoonizer and its `video`, which does nothing else."""
    found: dict[str, Any] = {}
    whole = Cartoonizer.__init__

    def init(self: Cartoonizer, style: Any, **options: Any) -> None:
        found.update(options, style=style)
        whole(self, style, **options)

    def video(self: Cartoonizer, source: str, target: str, **options: Any) -> None:
        found.update(options, source=source, target=target)
        raise InputError("enough")

    monkeypatch.setattr(Cartoonizer, "__init__", init)
    monkeypatch.setattr(Cartoonizer, "video", video)
    return found


def _file(folder: Path, text: str = FILE) -> str:
    path = folder / "defaults.toml"
    path.write_text(text)
    return str(path)


def _run(*arguments: str, **environment: str) -> Any:
    return CliRunner().invoke(app, arguments, env={**environment, "COLUMNS": "200", "TERM": "dumb"})


@pytest.mark.parametrize("place", ["before", "behind", "joined", "environment"])
def test_a_file_gives_defaults(place: str, asked: dict[str, Any], tmp_path: Path) -> None:
    file, line, environment = _file(tmp_path), ["video", "a.mp4", "b.mp4"], {}
    if place == "environment":
        environment = {"STREAMTOON_CONFIG": file}
    else:
        line = {
            "before": ["--config", file, *line],
            "behind": [*line, "--config", file],
            "joined": [*line, f"--config={file}"],
        }[place]
    done = _run(*line, **environment)
    assert done.stderr == "error: enough.\n"
    assert asked["style"].name == "ink"
    assert (asked["style"].look.levels, asked["style"].look.line_width) == (4, 2)
    for name, value in {
        "quality": "lite",
        "strength": 0.5,
        "codec": "hevc",
        "crf": 22,
        "start": 1,
        "end": 2,
        "on_error": "stop",
        "overwrite": True,
        "size": "720p",
        "fps": None,
        "target": "b.mp4",
    }.items():
        assert asked[name] == value, name


def test_what_is_typed_counts_before_the_environment_and_that_before_the_file(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    file = _file(tmp_path)
    environment = {"STREAMTOON_VIDEO_CRF": "30", "STREAMTOON_QUALITY": "fast", "STREAMTOON_VIDEO_FPS": "10"}
    _run("--config", file, "video", "a.mp4", "b.mp4", "--crf", "40", **environment)
    assert (asked["crf"], asked["quality"], asked["fps"], asked["codec"]) == (40, "fast", 10, "hevc")
    environment["STREAMTOON_VIDEO_QUALITY"] = "full"  # one command's own before that for all
    _run("--config", file, "video", "a.mp4", "b.mp4", **environment)
    assert (asked["crf"], asked["quality"]) == (30, "full")


def test_the_environment_takes_flags_and_lists(asked: dict[str, Any]) -> None:
    _run(
        "video",
        "a.mp4",
        "b.mp4",
        STREAMTOON_VIDEO_NO_RESUME="1",
        STREAMTOON_VIDEO_LOOK="levels=4 line_width=2",
    )
    assert asked["resume"] is False
    assert (asked["style"].look.levels, asked["style"].look.line_width) == (4, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('stlye = "ink"', "Did you mean style?"),
        ("crf = 3", "[video]"),
        ("[video]\ncrff = 3", "Did you mean crf?"),
        ("[vdieo]\na = 1", "Did you mean video?"),
        ('[video]\ncrf = "x"', "--config"),
        ('[video]\noverwrite = "yes"', "true or false"),
        ("[video]\nversion = true", "unknown option version"),
        ('[video]\njson = ["a"]', "not a list"),
        ("[video.crf]\na = 1", "crf"),
        ("[score]\nimages = 3", "[score.images]"),
        ("[score.imgaes]\njson = true", "Did you mean images?"),
        ("x =", "TOML"),
    ],
)
def test_a_file_with_a_mistake_is_refused(
    text: str, said: str, asked: dict[str, Any], tmp_path: Path
) -> None:
    done = _run("video", "a.mp4", "b.mp4", "--config", _file(tmp_path, text))
    assert done.exit_code == 2
    assert said in done.stderr
    assert "target" not in asked


def test_a_missing_file_and_a_bad_variable_say_where_they_come_from(asked: dict[str, Any]) -> None:
    assert "nothing.toml" in _run("video", "a.mp4", "b.mp4", "--config", "nothing.toml").stderr
    assert "STREAMTOON_VIDEO_CRF" in _run("video", "a.mp4", "b.mp4", STREAMTOON_VIDEO_CRF="99").stderr
    assert "target" not in asked


def test_the_device_is_the_same_option_in_every_command(asked: dict[str, Any], tmp_path: Path) -> None:
    _run("video", "a.mp4", "b.mp4", "--config", _file(tmp_path, 'device = "cuda"'))
    assert asked["device"] == "cuda"
    _run("video", "a.mp4", "b.mp4", STREAMTOON_DEVICE="cuda:1")
    assert asked["device"] == "cuda:1"


def test_a_camera_is_no_device_wherever_it_is_named() -> None:
    done = _run("webcam", STREAMTOON_WEBCAM_DEVICE="0")
    assert (done.exit_code, "use --camera 0" in done.stderr) == (2, True)
