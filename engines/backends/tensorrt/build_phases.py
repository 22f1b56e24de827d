"""The progress of a build: TensorRT reports nested phases, which are summed up in one number."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Phases:
    """Computes one number from phases that start, step and finish in any thread.

    All steps of a phase count the same, and a nested phase fills the next step of its parent. The number
    never falls, even if further phases start later.
    """

    def __init__(self) -> None:
        self._phases: dict[str, _Phase] = {}
        self._lock = threading.Lock()
        self._best = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Record the start of a phase."""
        with self._lock:
            self._phases[name] = _Phase(parent, max(1, steps))

    def step(self, name: str, step: int) -> float:
        """Record that step number `step` (from 0) of a phase is done. Return the progress, 0 to 1."""
        with self._lock:
            if phase := self._phases.get(name):
                phase.done = max(phase.done, step + 1)
            return self._figure()

    def finish(self, name: str) -> float:
        """Record the end of a phase, even if some of its steps were not reported.

        Return the progress, 0 to 1.
        """
        with self._lock:
            phase = self._phases.pop(name, None)
            if phase is not None and phase.parent is None:
                self._best = 1.0
            return self._figure()

    def _figure(self) -> float:
        roots = [name for name, phase in self._phases.items() if phase.parent is None]
        self._best = max([self._best, *map(self._share, roots)])
        return self._best

    def _share(self, name: str) -> float:
        phase = self._phases[name]
        inner = [self._share(child) for child, its in self._phases.items() if its.parent == name]
        return min(1.0, (phase.done + max(inner, default=0.0)) / phase.steps)
