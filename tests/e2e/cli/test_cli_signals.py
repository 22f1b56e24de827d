"""Signals within an import or an evaluation, which go on to their end before the command ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

PROGRAM = """
import signal, sys, time
sys.path.insert(0, {folder!r})
from streamtoon.cli.signals import listen
signal.signal({number}, signal.SIG_DFL)  # whoever runs the tests may ignore it, as nohup does
listen()
try:
    import interrupted
    for _ in range(1000):
        time.sleep(0.1)
finally:
    print("loaded" if "interrupted" in sys.modules else "lost")
"""
MODULE = """
import os, signal, time
os.kill(os.getpid(), {number})
try:
    time.sleep({seconds})
except BaseException:
    print("raised within the import")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("seconds", [0, 0.3])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_until_an_import_is_over(tmp_path: Path, number: int, seconds: float) -> None:
    (tmp_path / "interrupted.py").write_text(MODULE.format(number=int(number), seconds=seconds))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(folder=str(tmp_path), number=int(number))],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=90,
        check=False,
    )
    assert done.stdout == "loaded\n"
    # Python ends a process whose KeyboardInterrupt nobody caught by the signal itself.
    assert done.returncode == (-signal.SIGINT if number == signal.SIGINT else 128 + number)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_caught_interrupt_of_an_evaluation_does_not_kill() -> None:
    program = """
import os, sys, time
from streamtoon.cli.signals import listen
listen()
try:
    eval(f"os.kill(os.getpid(), {int(sys.argv[1])})")
    for _ in range(1000):
        time.sleep(0.1)
except KeyboardInterrupt:
    sys.exit(130)
"""
    arguments = [sys.executable, "-c", program, str(int(signal.SIGINT))]
    assert subprocess.run(arguments, cwd=ROOT, timeout=90, check=False).returncode == 130
