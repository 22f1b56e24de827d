"""Whether Ray's own processes start on this machine: small and busy ones are too slow for its deadlines."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

import pytest

TIMEOUT_S = 120
PROBE = """
import ray
ray.init("local", num_cpus=1, include_dashboard=False)
assert ray.get(ray.remote(lambda: 42).remote(), timeout=100) == 42
"""


def require_ray() -> None:
    """Skip the test, and say why, where Ray cannot run a task of one line in a cluster of its own."""
    if reason := _reason():
        pytest.skip(f"Ray does not run here: {reason}")


@functools.cache
def _reason() -> str:
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    line = [sys.executable, "-c", PROBE]
    try:
        done = subprocess.run(
            line, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {TIMEOUT_S} seconds"
    return "" if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2]
