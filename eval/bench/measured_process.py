"""Run a command in a separate process and measure its time, processor time, memory and power."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engines.errors import StreamtoonError
from eval.bench.power import PowerMeter

LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """The result of one finished process."""

    output: str
    """Its standard output."""
    seconds: float
    """Wall-clock time from its start to its end."""
    cpu_seconds: float | None
    """Processor time of all its threads. None if the system does not report it."""
    peak_rss: int | None
    """Peak main memory in bytes. None if the system does not report it."""
    watts: dict[str, float] | None


def run_measured(
    command: Sequence[str], environment: Mapping[str, str], *, gpu: bool = False
) -> ProcessResult:
    """Run a command until it ends. With `gpu`, the GPU's power is measured as well.

    Raises StreamtoonError with the command's last line on standard error if it fails.
    """
    with tempfile.TemporaryDirectory(prefix="streamtoon-bench-") as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        small = [sys.executable, "-I", "-S", str(LAUNCHER), str(out), str(err), *command]
        with PowerMeter(gpu=gpu) as meter:
            done = subprocess.run(small, stdout=subprocess.PIPE, check=True, env=dict(environment))
        said = json.loads(done.stdout)
        if said["code"]:
            lines = err.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            reason = lines[-1].removeprefix("error: ") if lines else f"exit code {said['code']}"
            raise StreamtoonError(reason)
        printed = out.read_text(encoding="utf-8", errors="replace")
    return ProcessResult(printed, said["seconds"], said["cpu_seconds"], said["peak_rss"], meter.watts)
