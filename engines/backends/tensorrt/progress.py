"""How far a build is, as TensorRT tells it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import tensorrt as trt

from engines.backends.tensorrt.build_phases import Phases

ReportProgress = Callable[[float, str], object]
"""Share of the work that is done, 0 to 1, and what is being done."""
REPORT_INTERVAL_S = 2.0
"""Seconds between two figures at least."""


class Monitor(trt.IProgressMonitor):
    """TensorRT's own interface, which tells `show` now and then; stops the build where `stopped` says so."""

    def __init__(self, show: ReportProgress, stopped: threading.Event) -> None:
        trt.IProgressMonitor.__init__(self)
        self._phases = Phases()
        self._show, self._stopped = show, stopped
        self._told = 0.0

    def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
        """Called by TensorRT, in any thread; `parent_phase` is None where there is none."""
        self._phases.start(phase_name, parent_phase or None, num_steps)

    def phase_finish(self, phase_name: str) -> None:
        """Called by TensorRT, in any thread."""
        self._tell(self._phases.finish(phase_name), phase_name)

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Called by TensorRT, in any thread; False ends the build."""
        self._tell(self._phases.step(phase_name, step), phase_name)
        return not self._stopped.is_set()

    def _tell(self, share: float, phase: str) -> None:
        if time.monotonic() - self._told >= REPORT_INTERVAL_S:
            self._told = time.monotonic()
            self._show(share, phase)
