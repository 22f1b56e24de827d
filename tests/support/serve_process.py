"""`streamtoon serve` in a process of its own."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from paths import ROOT

COMMAND = ("-m", "streamtoon")


def serve(
    tmp: Path,
    *options: str,
    files: int | None = None,
    program: Sequence[str] = COMMAND,
    stdout: int | None = None,
) -> tuple[subprocess.Popen[str], str]:
    """`streamtoon serve` in a process of its own, and its address."""

    def limit() -> None:
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    process = subprocess.Popen(
        [sys.executable, *program, "serve", "--port", "0", "--precision", "fp32", *options],
        cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, preexec_fn=limit,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp)},
    )  # fmt: skip
    assert process.stderr is not None
    found = None
    while found is None:
        line = process.stderr.readline()
        assert line, "it has ended"
        found = re.search(r"open (http://127\.0\.0\.1:\d+)/\S* in a browser", line)
    return process, found[1]
