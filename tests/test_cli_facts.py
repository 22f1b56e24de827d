"""`styles`, `doctor`, `--version` and the help."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import pytest
from typer.testing import CliRunner

from engines.backends import BACKENDS
from engines.style import DEFAULT_STYLE, available_styles
from streamtoon.cli.app import app

WIDE = {"COLUMNS": "80", "TERM": "dumb"}


def test_the_style_list_names_every_shipped_style() -> None:
    done = CliRunner().invoke(app, ["styles", "list"], env=WIDE)
    assert done.exit_code == 0, done.output
    for style in available_styles():
        assert style.name in done.stdout
    listed = json.loads(CliRunner().invoke(app, ["styles", "list", "--json"]).stdout)
    assert listed["default"] == DEFAULT_STYLE
    assert [style["name"] for style in listed["styles"]] == [style.name for style in available_styles()]


def test_a_style_is_shown_by_its_folder(style_folder: Path) -> None:
    done = CliRunner().invoke(app, ["styles", "show", str(style_folder)], env=WIDE)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("Shaken (shaken)\n")
    for text in ("unet, 1.47 M parameters", "256 pixels", "Apache-2.0", "nothing, CC0-1.0"):
        assert text in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    facts = json.loads(CliRunner().invoke(app, ["styles", "show", str(style_folder), "--json"]).stdout)
    assert (facts["name"], facts["working_height"]) == ("shaken", 256)


def test_an_unknown_style_is_one_sentence() -> None:
    done = CliRunner().invoke(app, ["styles", "show", "nobody"])
    assert done.exit_code == 1
    assert done.stderr.startswith("error: unknown style 'nobody'")
    assert done.stderr.count("\n") == 1


def test_the_doctor_tells_everything_as_json() -> None:
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 0, done.output
    machine = json.loads(done.stdout)
    assert machine["cpu"]["cores"] >= 1
    assert machine["memory_gb"] > 0.5
    engines = {row["name"]: row for row in machine["engines"]}
    assert set(engines) == set(BACKENDS)
    assert "cpu" in engines["openvino"]["devices"]
    assert all(row["install"].startswith("pip install") for row in engines.values())
    known = {encoder["name"] for encoder in machine["encoders"]}
    assert {"libx264", "libx265", "libsvtav1", "libvpx-vp9"} <= known
    assert known <= av.codecs_available
    codecs = {encoder["codec"] for encoder in machine["encoders"]}
    assert codecs == {"h264", "hevc", "av1", "vp9"}


def test_the_doctor_is_readable_at_80_columns() -> None:
    done = CliRunner().invoke(app, ["doctor"], env=WIDE)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    for word in ("Machine", "Memory", "openvino", "libx264", "Cameras"):
        assert word in done.stdout
    assert "\x1b" not in done.stdout


def test_the_doctor_sees_the_processor_that_linux_reports() -> None:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        pytest.skip("no /proc/cpuinfo")
    flags = info.read_text(encoding="utf-8")
    features = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["cpu"]["features"]
    if "AVX2" in features:
        assert features["AVX2"] == (" avx2" in flags)
        assert features["AMX"] == (" amx_" in flags)


@pytest.mark.parametrize("command", ["video", "image", "styles", "doctor"])
def test_the_help_is_there_and_narrow(command: str) -> None:
    done = CliRunner().invoke(app, [command, "--help"], env=WIDE)
    assert done.exit_code == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    if command in ("video", "image"):
        assert "Examples" in done.stdout
        assert f"\n streamtoon {command} " in done.stdout


def test_the_version_is_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamtoon", "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent.parent,
    )
    assert done.stdout.startswith("streamtoon ")
    assert done.stdout.count("\n") == 1
