"""Benchmarks of round numbers, for tests of what is computed and shown of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from eval.bench.results import Bench, BenchRow, Latency

MACHINE = {"cpu": "Abacus 2", "cores": 2, "gpus": []}
CLIP = {"name": "tour.mp4"}


def row(**changes: Any) -> BenchRow:
    """Return a row of round numbers with these fields changed."""
    base = BenchRow(
        engine="openvino", device="cpu", precision="int8", style="comic", generator="unet", size="720p",
        width=1280, height=720, working_width=640, working_height=360, quality="fast", chosen="fast",
        latency_ms=Latency(20.0, 25.0, 0.05), fps=50.0, file_fps=40.0, file_spread=0.02, frames=100,
        stages={"decode": 2.0, "run": 24.0, "encode": 10.0}, efficiency=0.96, cpu_ms=60.0, peak_rss_mb=300.0,
        start_s=1.0, watts=None, limit=None, limit_fraction=None, ratios={"paper": 20.0}, noisy=False,
    )  # fmt: skip
    return replace(base, **changes)


def bench(*rows: BenchRow) -> Bench:
    """Return a run with these rows."""
    return Bench(machine=MACHINE, clip=CLIP, seconds=2.0, results=rows, peers=())
