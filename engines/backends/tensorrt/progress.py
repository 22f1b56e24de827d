"""Reporting the progress of a build."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import tensorrt as trt

from engines.backends.tensorrt.build_phases import Phases

ReportProgress = Callable[[float, str], object]
"""Receives the share that is done, 0 to 1, and the name of the current phase."""
REPORT_INTERVAL_S = 2.0
"""Least time between two reports."""


class Monitor(trt.IProgressMonitor):
    """Implements TensorRT's progress interface: calls `show`, and stops the build when `stopped` is set."""

    def __init__(self, show: ReportProgress, stopped: threading.Event) -> None:
        trt.IProgressMonitor.__init__(self)
        self._phases = Phases()
        self._show, self._stopped = show, stopped
        self._told = 0.0

    def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
        """Handle a phase's start. TensorRT calls this from any thread; the top phase has no parent."""
        self._phases.start(phase_name, parent_phase or None, num_steps)

    def phase_finish(self, phase_name: str) -> None:
        """Handle a phase's end. TensorRT calls this from any thread."""
        self._tell(self._phases.finish(phase_name), phase_name)

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Handle a finished step. TensorRT calls this from any thread; False stops the build."""
        self._tell(self._phases.step(phase_name, step), phase_name)
        return not self._stopped.is_set()

    def _tell(self, share: float, phase: str) -> None:
        if time.monotonic() - self._told >= REPORT_INTERVAL_S:
            self._told = time.monotonic()
            self._show(share, phase)
