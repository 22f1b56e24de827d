"""What the server counts, in Prometheus' text format (version 0.0.4): a dozen lines need no library."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1.0)
"""Seconds."""
_COUNTERS = {
    "sessions_total": "Live sessions that began.",
    "jobs_total": "Files that were taken to draw.",
    "jobs_failed_total": "Files that could not be drawn.",
    "refused_total": "What was asked for and refused: no place, or over a limit.",
    "upload_bytes_total": "Bytes of files received.",
    "pictures_total": "Live pictures drawn.",
    "pictures_dropped_total": "Live pictures that a newer one took the place of.",
}


class Metrics:
    """Counters, and how long live pictures stay here. Safe to count in from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter(dict.fromkeys(_COUNTERS, 0))
        self._times = [0] * (len(BUCKETS) + 1)
        self._seconds = 0.0
        self._began = time.monotonic()

    def count(self, name: str, by: int = 1) -> None:
        """One more of a counter of this file."""
        with self._lock:
            self._counts[name] += by

    def picture(self, seconds: float) -> None:
        """A live picture left, that long after it came."""
        place = next((n for n, limit in enumerate(BUCKETS) if seconds <= limit), len(BUCKETS))
        with self._lock:
            self._counts["pictures_total"] += 1
            self._times[place] += 1
            self._seconds += seconds

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> str:
        """Everything, with `gauges`, name to (meaning, value), as they stand now."""
        with self._lock:
            counts, times, seconds = dict(self._counts), list(self._times), self._seconds
        lines: list[str] = []
        now = {
            **gauges,
            "uptime_seconds": ("Since the server started.", time.monotonic() - self._began),
            "memory_bytes": ("Memory of the server's process.", _memory()),
        }
        for name, (meaning, value) in now.items():
            lines += _described(name, meaning, "gauge", value)
        for name, meaning in _COUNTERS.items():
            lines += _described(name, meaning, "counter", counts[name])
        name = "streamtoon_latency_seconds"
        lines += [f"# HELP {name} Time of a live picture in the server.", f"# TYPE {name} histogram"]
        below = 0
        for limit, number in zip((*map(str, BUCKETS), "+Inf"), times, strict=True):
            below += number
            lines.append(f'{name}_bucket{{le="{limit}"}} {below}')
        lines += [f"{name}_sum {seconds}", f"{name}_count {below}", ""]
        return "\n".join(lines)


def _described(name: str, meaning: str, kind: str, value: float) -> list[str]:
    name = f"streamtoon_{name}"
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", f"{name} {value}"]


def _memory() -> int:
    """Bytes that are resident, where the system says so in /proc; 0 elsewhere."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
