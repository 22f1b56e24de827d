"""For the tests of built engines: what one is known by."""

from __future__ import annotations

from engines.backends.tensorrt.engine_cache import PlanKey

KEY = PlanKey(
    graph="ab" * 32,
    shapes="y 1x1x720x1280",
    precision="fp16",
    via="onnx",
    settings="level 3, workspace 4096 MiB",
    tensorrt="10.13.0.35",
    cuda="12.9",
    gpu="NVIDIA GeForce GTX 1060",
    compute_capability="6.1",
    driver="575.51.03",
)
