"""An engine that finds too little memory does with less, says so, and ends in a sentence at last."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engines.cores import cores
from engines.errors import EngineError, OutOfMemoryError
from engines.memory import is_want_of_memory, memory_told

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux")

JOB = """
import resource, sys
import numpy as np
from engines.engine import open_engine
from engines.cores import cores
from engines.errors import StreamtoonError

status = open("/proc/self/status").read()
taken = int(status.split("VmSize:")[1].split()[0]) << 10
limit = taken + (int(sys.argv[1]) << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    with open_engine("comic", quality="full", width=1280, height=720, throughput=True) as engine:
        engine.rgb(np.zeros((720, 1280, 3), np.uint8))
        print(engine.facts.quality, engine.at_a_time, engine.facts.given_up)
except StreamtoonError as error:
    print(type(error).__name__, error)
"""


def _with(megabytes: int) -> str:
    """What is drawn with so much memory; nothing where a library gives up and ends the process by itself."""
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", JOB, str(megabytes)]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=120, env=environment
    ).stdout.strip()


def test_less_and_less_is_done_with() -> None:
    assert _with(8000) == f"full {min(4, cores())}"
    seen: list[str] = []
    while not seen or "Error" not in seen[-1]:
        assert len(seen) < 24
        seen.append(_with(1000 - 40 * len(seen)))
    said = "fast 1 There is not enough memory to draw 1280x720 in full: it is drawn in fast."
    assert set(seen[:-1]) <= {f"full {min(4, cores())}", "full 1", said, ""}
    assert {"full 1", said} & set(seen)
    assert seen[-1].startswith("OutOfMemoryError there is not enough memory to draw 1280x720: close other")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("Exception from allocator.cpp:79:\nstd::bad_alloc"),
        RuntimeError("Failed to allocate 147456000 bytes of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
    ids=lambda error: str(error)[-20:],
)
def test_every_runtimes_words(error: Exception) -> None:
    with pytest.raises(OutOfMemoryError, match="not enough memory for a test"), memory_told("a test"):
        raise EngineError("cannot compute this style") from error


def test_other_errors_stay_what_they_are() -> None:
    assert not is_want_of_memory(EngineError("no such device"))
    with pytest.raises(ZeroDivisionError), memory_told("a test"):
        raise ZeroDivisionError
