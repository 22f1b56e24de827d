"""Measure power where the machine reports it: RAPL for processors, NVML for NVIDIA GPUs."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType

POWERCAP = Path("/sys/class/powercap")
GPU_POLL_MS = 200
"""Milliseconds between two readings of a GPU."""


class PowerMeter:
    """Measures power within its `with` block. Afterwards `watts` has the mean.

    `cpu` is the energy of all processor packages divided by the time. Many systems hide it from ordinary
    users, and most virtual machines lack it. `gpu` is the mean of the readings of all NVIDIA GPUs.
    """

    def __init__(self, *, gpu: bool = False) -> None:
        self.watts: dict[str, float] | None = None
        """Watts by `cpu` and `gpu`. None if neither can be read."""
        self._gpu = gpu
        self._reader: subprocess.Popen[str] | None = None

    def __enter__(self) -> PowerMeter:
        program = shutil.which("nvidia-smi") if self._gpu else None
        if program:
            query = ["--query-gpu=power.draw", "--format=csv,noheader,nounits", f"--loop-ms={GPU_POLL_MS}"]
            self._reader = subprocess.Popen(
                [program, *query], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        self._began, self._before = time.perf_counter(), packages(POWERCAP)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        after, seconds = packages(POWERCAP), time.perf_counter() - self._began
        found = {}
        if after and after.keys() == self._before.keys():
            joules = sum(_since(self._before[name], after[name]) for name in after)
            found["cpu"] = round(joules / seconds, 2)
        if self._reader:
            self._reader.terminate()
            said, _ = self._reader.communicate()
            readings = [float(line) for line in said.split() if re.fullmatch(r"\d+(\.\d+)?", line)]
            if readings:
                found["gpu"] = round(sum(readings) / len(readings), 2)
        self.watts = found or None


def packages(root: Path) -> dict[str, tuple[int, int]]:
    """Return the energy so far, and the value at which the counter wraps, of every package, in microjoules.

    Counters that cannot be read are left out.
    """
    found = {}
    for zone in sorted(root.glob("*rapl:*")):
        with contextlib.suppress(OSError, ValueError):
            if (zone / "name").read_text().startswith("package"):
                energy = int((zone / "energy_uj").read_text())
                found[zone.name] = (energy, int((zone / "max_energy_range_uj").read_text()))
    return found


def _since(before: tuple[int, int], after: tuple[int, int]) -> float:
    """Return the joules between two readings of a counter that wraps at most once."""
    passed = after[0] - before[0]
    return (passed if passed >= 0 else passed + after[1]) / 1e6
