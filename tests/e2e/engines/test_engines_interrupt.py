"""Ctrl-C after engines have come and gone is an interrupt, not a crash."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

SCRIPT = """
import signal, sys, threading, time
import numpy as np
from engines.backends.selection import open_runner
from engines.registry.style import load_style

style = load_style(sys.argv[1])
def open_one():
    settings = dict(backend="openvino", device="cpu", precision="fp32", height=64, width=64)
    _, runner = open_runner(style, **settings)
    runner(np.zeros((64, 64, 3), np.uint8))
    return runner
ORDER
main = threading.main_thread().ident
try:
    threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(42)
"""
# OpenVINO's CPU plugin gives the thread that loads it a stack for signals and takes it away when it is
# unloaded. Two plugins unloaded in the order of their loading, or one by another thread, leave the thread
# with a stack that is gone, and the next signal ends the process. One `Core` for the whole process does not.
FIRST_IN_FIRST_OUT = """
first = open_one()
second = open_one()
first.close(); del first
second.close(); del second
"""
GONE_IN_ANOTHER_THREAD = """
held = [open_one()]
thread = threading.Thread(target=held.clear)
thread.start()
thread.join()
"""


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="POSIX signals")
@pytest.mark.parametrize("order", [FIRST_IN_FIRST_OUT, GONE_IN_ANOTHER_THREAD], ids=["first-out", "thread"])
def test_an_interrupt_after_engines_have_gone(style_folder: Path, order: str) -> None:
    code = SCRIPT.replace("ORDER", order)
    done = subprocess.run(
        [sys.executable, "-c", code, style_folder],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=120,
    )
    assert done.returncode == 42, f"{done.returncode} {done.stderr}"
