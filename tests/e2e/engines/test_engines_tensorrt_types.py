"""The TensorRT code against the types of TensorRT 10: `pip install --no-deps tensorrt-stubs` brings them."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT


def test_the_calls_into_tensorrt_fit_its_types(tmp_path: Path) -> None:
    try:
        files = importlib.metadata.files("tensorrt-stubs") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("needs tensorrt-stubs: pip install --no-deps tensorrt-stubs")
    for file in files:
        if file.suffix == ".pyi":
            target = tmp_path / file.parent / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_mended(file.read_text()), encoding="utf-8")
    settings = tmp_path / "mypy.ini"
    settings.write_text(
        "[mypy]\nstrict = True\npython_version = 3.11\n"
        "[mypy-tensorrt.*,tensorrt_bindings.*]\nignore_errors = True\n"
        "[mypy-cv2.*,onnxruntime.*,openvino.*,torch2trt.*]\nignore_missing_imports = True\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", settings, "-p", "engines.backends.tensorrt"],
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": str(tmp_path), "MYPY_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _mended(text: str) -> str:
    """The stubs as Python: they have arguments named `in`, and one without a default after others."""
    text = re.sub(r"\bin: list", "in_: list", text)
    return text.replace("channel_axis: int)", "channel_axis: int = ...)")
