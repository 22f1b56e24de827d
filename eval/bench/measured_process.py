"""A command in a process of its own, with what it took: time, processor time, memory, power."""

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
    """One finished process."""

    output: str
    """What it printed on standard output."""
    seconds: float
    """From its start to its end."""
    cpu_seconds: float | None
    """Of all its threads; None where the system does not say."""
    peak_rss: int | None
    """Bytes of main memory it held at most; None where the system does not say."""
    watts: dict[str, float] | None


def run_measured(
    command: Sequence[str], environment: Mapping[str, str], *, gpu: bool = False
) -> ProcessResult:
    """Runs a command to its end; `gpu` reads its power too.

    Raises StreamtoonError with the last line it said on standard error when it fails.
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
