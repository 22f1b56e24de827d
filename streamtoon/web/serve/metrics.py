"""The server's metrics, for Prometheus."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The text format that `generate_latest` writes; the library's own constant names a newer one."""
LATENCY_BUCKETS_S = (0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1.0)
PREFIX = "streamtoon_"
_COUNTERS = {
    "sessions_total": "Live sessions started.",
    "jobs_total": "Files received.",
    "jobs_failed_total": "Files that failed.",
    "refused_total": "Requests refused: server busy, or over a limit.",
    "upload_bytes_total": "Bytes of files received.",
    "pictures_total": "Live frames drawn.",
    "pictures_dropped_total": "Live frames dropped in favour of a newer one.",
}
# The library adds a gauge of the creation time to every counter, which is of no interest here.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counters, gauges and the latency of live frames. Every method may be called from any thread."""

    def __init__(self) -> None:
        # Two registries: one would take the gauge `sessions` and the counter `sessions_total` for the same.
        self._registry, self._gauge_registry = CollectorRegistry(), CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        self._counters = {
            name: Counter(PREFIX + name, meaning, registry=self._registry)
            for name, meaning in _COUNTERS.items()
        }
        self._latency = Histogram(
            f"{PREFIX}latency_seconds",
            "Time of a live frame in the server.",
            buckets=LATENCY_BUCKETS_S,
            registry=self._registry,
        )
        self._began = time.monotonic()

    def count(self, name: str, by: int = 1) -> None:
        """Add `by` to the counter `name`, one of this file's."""
        self._counters[name].inc(by)

    def picture(self, seconds: float) -> None:
        """Count a live frame that left `seconds` after its arrival."""
        self._counters["pictures_total"].inc()
        self._latency.observe(seconds)

    def text(self, gauges: Mapping[str, tuple[str, float]]) -> bytes:
        """Return all metrics in Prometheus' text format; `gauges` maps a name to (meaning, current value)."""
        now = {
            **gauges,
            "uptime_seconds": ("Seconds since the server started.", time.monotonic() - self._began),
            "memory_bytes": ("Resident memory of the server process.", _memory_bytes()),
        }
        for name, (meaning, value) in now.items():
            if name not in self._gauges:
                self._gauges[name] = Gauge(PREFIX + name, meaning, registry=self._gauge_registry)
            self._gauges[name].set(value)
        return generate_latest(self._gauge_registry) + generate_latest(self._registry)


def _memory_bytes() -> int:
    """Return the resident memory, from /proc; 0 on systems without it."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
