"""`styles`, `doctor`, `--version` and the help."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import av
import pytest
from lite_styles import add_lite
from paths import ROOT
from typer.testing import CliRunner

from engines.backends.registry import BACKENDS
from engines.registry import style as style_module
from engines.registry.style import DEFAULT_STYLE, available_styles, load_style
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
    assert facts["lite"] is None


def test_a_styles_lite_network_is_shown(style_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(style_folder, tmp_path / "mine"))
    lite = add_lite(folder).lite
    assert lite is not None
    lines = CliRunner().invoke(app, ["styles", "show", str(folder)], env=WIDE).stdout.splitlines()
    (line,) = (line for line in lines if line.startswith("lite network"))
    assert line.split(maxsplit=2)[2].strip() == f"lite, {lite.parameters / 1e6:.2f} M parameters"
    facts = json.loads(CliRunner().invoke(app, ["styles", "show", str(folder), "--json"]).stdout)
    assert facts["lite"]["parameters"] == lite.parameters
    assert facts["lite"]["folder"] == str(folder / "lite")


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


def test_the_doctor_says_what_auto_takes_and_why() -> None:
    auto = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)["auto"]
    assert (auto["style"], auto["width"], auto["height"], auto["rate"]) == (DEFAULT_STYLE, 1280, 720, 30)
    assert auto["quality"] in ("full", "fast", "lite")
    assert auto["reason"].startswith(auto["quality"])
    style = load_style(DEFAULT_STYLE)
    assert style.lite is not None
    assert auto["generator"] == style.form(auto["quality"]).generator
    assert auto["precision"] in ("fp32", "bf16", "fp16", "int8")
    assert auto["problem"] == ""


def test_the_doctor_of_an_installation_without_styles_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(style_module, "SHIPPED", tmp_path)
    done = CliRunner().invoke(app, ["doctor"], env=WIDE)
    assert done.exit_code == 0, done.output
    assert f"unknown style '{DEFAULT_STYLE}'" in " ".join(done.stdout.split())
    assert "why" not in done.stdout


def test_the_doctor_is_readable_at_80_columns() -> None:
    done = CliRunner().invoke(app, ["doctor"], env=WIDE)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.stdout.splitlines())) <= 80
    for word in ("Machine", "Memory", "openvino", "libx264", "Cameras", "auto for 1280x720 at 30"):
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
        cwd=ROOT,
    )
    assert done.stdout.startswith("streamtoon ")
    assert done.stdout.count("\n") == 1
