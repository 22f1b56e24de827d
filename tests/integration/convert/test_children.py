"""Processes that streamtoon starts run streamtoon, whatever lies in the folder that they are started in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

from streamtoon import subprocesses


def _run(command: list[str], environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("own", ["", os.pathsep, f".{os.pathsep}"])
def test_nothing_is_imported_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str
) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "cv2.py").write_text("open('trapped', 'w')\nraise SystemExit(7)\n")
    monkeypatch.setenv("PYTHONPATH", own)
    command = subprocesses.command("streamtoon.live.window_process")
    done = _run(command, subprocesses.environment(), trap)
    assert done.returncode == 0, done.stderr
    assert not (trap / "trapped").exists()

    # By a program that does not look after its path, it is.
    plain = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert _run([sys.executable, "-c", "import cv2"], plain, trap).returncode == 7
    assert (trap / "trapped").exists()


def test_the_same_code_runs_and_paths_and_variables_are_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a_module_of_mine.py").write_text(
        "import os, streamtoon\nprint(streamtoon.__path__[0], os.environ['COLOR'], sep='\\n')\n"
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "mine")
    done = _run(
        subprocesses.command("a_module_of_mine"),
        subprocesses.environment(COLOR="blue"),
        tmp_path / "elsewhere",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(ROOT / "streamtoon"), "blue"]
