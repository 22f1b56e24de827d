"""An engine that finds too little memory does with less, says so, and ends in a sentence at last."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paths import ROOT, SUPPORT
from rgb_styles import make_style

from engines.common.cpu import cores
from engines.common.memory import is_out_of_memory, translate_oom
from engines.errors import EngineError, OutOfMemoryError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux")

JOB = """
import os, resource, sys
import numpy as np
import engines.backends.openvino  # the import alone: what computes is made after the fork
from engines_open import open_engine
from engines.errors import StreamtoonError

def limit(megabytes):
    status = open("/proc/self/status").read()
    most = int(status.split("VmSize:")[1].split()[0]) * 1024 + megabytes * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (most, most))

def picture(height, width):
    return np.zeros((height, width, 3), np.uint8)

def drawn(megabytes):
    limit(megabytes)
    with open_engine(sys.argv[1], quality="full", width=1280, height=720, throughput=True) as engine:
        engine.rgb(picture(720, 1280))
        print(engine.facts.quality, engine.concurrency, engine.facts.fallback, flush=True)

def drawn_larger(megabytes):
    with open_engine(sys.argv[1], quality="full", width=320, height=180) as engine:
        engine.rgb(picture(180, 320))
        limit(megabytes)
        engine.rgb(picture(720, 1280))

for line in sys.stdin:
    name, megabytes = line.split()
    if child := os.fork():
        os.waitpid(child, 0)
        print("end", flush=True)
        continue
    os.close(2)
    try:
        {"drawn": drawn, "drawn_larger": drawn_larger}[name](int(megabytes))
    except StreamtoonError as error:
        print(type(error).__name__, error, flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module")
def large_style(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that sees pictures of 1280x720 whole, which takes hundreds of megabytes."""
    pytest.importorskip("torch")
    return make_style(tmp_path_factory.mktemp("large") / "shaken", working_height=720)


@pytest.fixture(scope="module")
def said(large_style: Path) -> Iterator[Callable[[str, int], str]]:
    """What a job says with so many megabytes; nothing where a library gives up and ends the process."""
    places = os.pathsep.join((str(ROOT), str(SUPPORT)))
    environment = {**os.environ, "PYTHONPATH": places, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", JOB, str(large_style)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None and stdout is not None

        def ask(name: str, megabytes: int) -> str:
            stdin.write(f"{name} {megabytes}\n")
            stdin.flush()
            lines = []
            while (line := stdout.readline()) != "end\n":
                assert line, "the job has ended"
                lines.append(line)
            return "".join(lines).strip()

        yield ask
        stdin.close()


def test_less_and_less_is_done_with(said: Callable[[str, int], str]) -> None:
    assert said("drawn", 8000) == f"full {min(4, cores())}"
    seen: list[str] = []
    while not seen or "Error" not in seen[-1]:
        assert len(seen) < 12
        seen.append(said("drawn", 720 - 60 * len(seen)))
    less = "fast 1 Not enough memory to render 1280x720 in full; using fast instead."
    assert set(seen[:-1]) <= {f"full {min(4, cores())}", "full 1", less, ""}
    assert {"full 1", less} & set(seen)
    assert seen[-1].startswith("OutOfMemoryError not enough memory to render 1280x720; close other")


def test_too_little_for_a_larger_picture_on_the_way(said: Callable[[str, int], str]) -> None:
    expected = r"OutOfMemoryError not enough memory for rendering \d+x\d+ in style shaken"
    assert re.fullmatch(expected, said("drawn_larger", 50))


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
    with pytest.raises(OutOfMemoryError, match="not enough memory for a test"), translate_oom("a test"):
        raise EngineError("cannot compute this style") from error


def test_other_errors_stay_what_they_are() -> None:
    assert not is_out_of_memory(EngineError("no such device"))
    assert is_out_of_memory(RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    assert is_out_of_memory(RuntimeError("Error Code 2: OutOfMemory (no further information)"))
    with pytest.raises(ZeroDivisionError), translate_oom("a test"):
        raise ZeroDivisionError


def test_too_little_memory_is_found_behind_a_librarys_own_error() -> None:
    """As torch does at the end of a capture that failed."""
    error = RuntimeError("operation failed due to a previous error during capture")
    error.__context__ = RuntimeError("CUDA out of memory")
    assert is_out_of_memory(error)
