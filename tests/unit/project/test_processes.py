"""How many processes run the tests, and what these share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from paths import ROOT, SUPPORT
from run_folder import VARIABLE

DEFAULT = "not e2e"


@pytest.mark.parametrize(
    ("arguments", "chosen", "is_parallel"),
    [
        (["tests"], DEFAULT, True),
        (["tests/unit"], DEFAULT, True),
        (["tests"], "e2e and not realtime", True),
        (["tests"], "realtime", True),
        (["tests"], "e2e", False),
        (["tests"], "gpu", False),
        (["tests"], "", False),
        (["tests/unit/project/test_processes.py"], DEFAULT, False),
        (["tests/unit/project/test_processes.py::test_a_name[x]", "tests/conftest.py"], DEFAULT, False),
        (["tests/unit/project/test_processes.py", "tests/unit/cli"], DEFAULT, True),
    ],
)
def test_a_tier_runs_in_several_processes(
    arguments: list[str], chosen: str, is_parallel: bool, pytestconfig: pytest.Config
) -> None:
    asked = SimpleNamespace(
        args=arguments,
        invocation_params=SimpleNamespace(dir=ROOT),
        option=SimpleNamespace(markexpr=chosen, numprocesses="logical"),
    )
    assert (pytestconfig.hook.pytest_xdist_auto_num_workers(config=asked) > 0) == is_parallel


def test_end_to_end_tests_are_in_their_folder() -> None:
    for folder in ("unit", "integration"):
        for file in (ROOT / "tests" / folder).rglob("test_*.py"):
            if file != Path(__file__):
                text = file.read_text(encoding="utf-8")
                assert "mark.e2e" not in text and "mark.realtime" not in text, file


MAKER = """
import sys, time
from pathlib import Path
from run_folder import made_once

def make(folder: Path) -> None:
    folder.mkdir()
    (folder / "first").touch()
    time.sleep(0.2)
    (folder / "last").touch()
    with Path(sys.argv[1]).open("a") as log:
        log.write("made\\n")

print(sorted(path.name for path in made_once("thing", make).iterdir()))
"""


def test_what_several_processes_ask_for_is_made_once_and_seen_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    command = [sys.executable, "-c", MAKER, str(tmp_path / "log")]
    makers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [each.communicate(timeout=60)[0] for each in makers] == ["['first', 'last']\n"] * 3
    assert (tmp_path / "log").read_text(encoding="utf-8") == "made\n"


def test_a_runs_folder_is_gone_when_the_run_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setenv("PYTHONPATH", str(SUPPORT))
    code = "from run_folder import run_folder; print(run_folder()); assert run_folder().is_dir()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    folder = Path(done.stdout.strip())
    assert folder.is_absolute() and not folder.exists()
