"""Trying an untrusted file in a separate process."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import engines
from engines.common.extras import install_line
from engines.errors import EngineError, StyleError

SANDBOX_TIMEOUT_S = 600
"""How long the process may take, in seconds."""


def run_in_sandbox(source: Path, request: dict[str, Any], target: Path) -> dict[str, Any]:
    """Try `source` in `engines.importing.sandbox_worker`, which writes `target`. Return its answer.

    Raises StyleError with the process's message or exit status, and EngineError if a package is missing.
    """
    graph = request["kind"] == "graph"
    needed = (
        ("onnx", "onnxruntime") if graph else ("torch", "onnx", "onnxruntime", "onnxscript", "safetensors")
    )
    missing = [package for package in needed if importlib.util.find_spec(package) is None]
    if missing:
        extra = "onnxruntime" if graph else "train"
        raise EngineError(
            f"adding {source.name} needs {' and '.join(missing)}, which is not installed; "
            f"run: {install_line(extra)}"
        )
    request |= {"file": str(source.absolute()), "target": str(target)}
    with tempfile.TemporaryDirectory(prefix="streamtoon-") as place:
        asked, answer, said = (Path(place) / name for name in ("request", "answer", "said"))
        asked.write_text(json.dumps(request), encoding="utf-8")
        # -P: import nothing from the working directory, which may be the untrusted folder.
        command = [sys.executable, "-P", "-m", "engines.importing.sandbox_worker", str(asked), str(answer)]
        home = str(Path(engines.__path__[0]).parent)
        with said.open("wb") as errors:
            try:
                done = subprocess.run(
                    command,
                    check=False,
                    timeout=SANDBOX_TIMEOUT_S,
                    env={**os.environ, "PYTHONPATH": home},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                )
            except subprocess.TimeoutExpired as error:
                raise StyleError(
                    f"{source} was tried for {SANDBOX_TIMEOUT_S} seconds without a result"
                ) from error
        if not answer.is_file():
            last = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
            how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
            raise StyleError(
                f"{source} cannot be used: trying it ended with {how} {''.join(last)[:200]}".strip()
            )
        found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    if "error" in found:
        raise StyleError(found["error"])
    return found
