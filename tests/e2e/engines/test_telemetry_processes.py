"""Processes that load ONNX Runtime: its reports are switched off first, and none is sent."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

from engines.common.telemetry import ORT_SWITCH


def importers(package: str) -> list[str]:
    """Our modules that import a package, by their source."""
    pattern = re.compile(rf"^\s*(import {package}|from {package}[. ])", re.MULTILINE)
    files = [
        file for part in ("engines", "streamtoon", "training", "eval") for file in (ROOT / part).rglob("*.py")
    ]
    found = [file for file in files if pattern.search(file.read_text(encoding="utf-8"))]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in found]


def quiet_environment(home: Path) -> dict[str, str]:
    """An environment in which nobody has switched anything off, and whose home is empty."""
    kept = {name: value for name, value in os.environ.items() if name != ORT_SWITCH and name[:4] != "XDG_"}
    return kept | {"HOME": str(home), "PYTHONPATH": str(ROOT)}


def test_every_module_that_loads_onnxruntime_switches_its_reports_off_first(tmp_path: Path) -> None:
    for package in ("onnxruntime", "onnx", "torch", "nncf"):
        pytest.importorskip(package)
    modules = importers("onnxruntime")
    assert "engines.backends.onnxruntime" in modules and len(modules) >= 6
    code = f"""
import importlib, json, os, sys
seen = []
def look(event, arguments):
    if event == "import" and arguments[0] == "onnxruntime":
        seen.append(os.environ.get("{ORT_SWITCH}"))
sys.addaudithook(look)
importlib.import_module(sys.argv[1])
import onnxruntime
print(json.dumps(seen))
"""
    for module in modules:
        done = subprocess.run(
            [sys.executable, "-c", code, module],
            cwd=tmp_path, env=quiet_environment(tmp_path), capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert set(json.loads(done.stdout)) == {"1"}, module


RUNS = """
import sys, time
import engines.backends.onnxruntime
import onnxruntime
from onnx import TensorProto, helper
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "graph", [x], [y])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
time.sleep(float(sys.argv[1]))
"""


def test_a_process_that_runs_onnxruntime_writes_no_identifier_and_asks_for_no_host(tmp_path: Path) -> None:
    """By what the kernel sees; 1.32 left alone writes at once, and asks for its collector after 15 s."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace here to look at calls with")
    home, calls = tmp_path / "home", tmp_path / "calls"
    home.mkdir()
    trace = [strace, "-f", "-e", "trace=connect,sendto,sendmsg,sendmmsg,openat,mkdir", "-o", str(calls)]
    subprocess.run(
        [*trace, sys.executable, "-B", "-c", RUNS, "18"],
        env=quiet_environment(home),
        cwd=tmp_path,
        check=True,
    )
    said = calls.read_text(errors="replace")
    assert "libonnxruntime" in said or "onnxruntime_pybind11_state" in said, "it was looked at"
    assert not re.findall(r".*AF_INET.*", said)
    assert not re.findall(rf".*{re.escape(str(home))}.*(?:O_CREAT|mkdir).*", said)
    assert not re.findall(r".*Microsoft.*", said)
    assert list(home.rglob("*")) == []
