"""`vote` and `serve` in the base install: without the packages of the extras."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tomllib
import urllib.request
from pathlib import Path

import pytest
from paths import ROOT
from small_vote import make_photos

EXTRAS = tuple(
    "torch torchmetrics safetensors scipy matplotlib skimage numba nncf onnx onnxruntime onnxscript "
    "tensorboard lightning_fabric pyvirtualcam tensorrt".split()
)
"""Modules that the base install may lack."""
BASE = f"""
import sys
from importlib.abc import MetaPathFinder


class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Missing())
from streamtoon.cli import main

main()
"""


def _start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BASE, *arguments], cwd=cwd, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


@pytest.mark.parametrize("command", ["vote", "serve"])
def test_it_needs_no_extra(command: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    photos = make_photos(tmp_path / "photos")
    arguments = {"vote": ["comic", "ink", "--photos", str(photos), "--pictures", "2"], "serve": []}[command]
    process = _start(command, *arguments, "--port", "0", cwd=tmp_path)
    assert process.stderr is not None
    try:
        said, address = "", None
        while address is None:
            line = process.stderr.readline()
            assert line, said
            said += line
            address = re.search(r"http://127\.0\.0\.1:\d+", line)
        with urllib.request.urlopen(f"{address[0]}/") as answer:
            assert b"<!doctype html>" in answer.read()
        if command == "serve":  # a picture that is drawn now
            with urllib.request.urlopen(f"{address[0]}/style/ink.webp") as answer:
                assert answer.read()[:4] == b"RIFF"
    finally:
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=120)
    assert process.returncode == 0 and "Traceback" not in rest, rest


def test_what_the_base_install_lacks_is_what_the_extras_bring() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {re.split(r"[<>=\[]", one)[0].replace("-", "_") for one in project["dependencies"]}
    assert {"aiohttp", "aiortc", "jinja2", "segno"} <= named
    assert not named & set(EXTRAS)
