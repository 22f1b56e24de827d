"""The command in a folder that has packages called as ours are: those that run are ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

COMMANDS = {
    "script": [str(Path(sys.executable).with_name("streamtoon"))],
    "module": [sys.executable, "-m", "streamtoon"],
}


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody's own: whoever imports what lies in it ends."""
    for name in ("engines", "eval", "training"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise SystemExit('the wrong {name}')")
    Image.effect_noise((64, 48), 60).convert("RGB").save(tmp_path / "photo.png")
    return tmp_path


@pytest.mark.parametrize("kind", COMMANDS)
def test_the_command_uses_its_own_packages(kind: str, project: Path) -> None:
    command = COMMANDS[kind]
    if run([*command, "--version"], project.parent).returncode:
        pytest.skip("streamtoon is not installed in this Python, only found from the checkout")
    done = run([*command, "image", "photo.png", "drawn.png", "--quality", "lite"], project)
    assert done.returncode == 0, done.stderr
    with Image.open(project / "drawn.png") as drawn:
        assert drawn.size == (64, 48)
    done = run([*command, "score", "images", "nothing"], project)  # of the package eval
    assert "the wrong" not in done.stderr and "Traceback" not in done.stderr, done.stderr
    done = run([*command, "train", "nothing"], project)
    assert "the wrong" not in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_the_folder_does_have_packages_that_would_be_taken(project: Path) -> None:
    done = run([sys.executable, "-m", "engines"], project)
    assert "the wrong engines" in done.stderr


def test_a_program_of_ones_own_keeps_its_folder(tmp_path: Path) -> None:
    (tmp_path / "own_program.py").write_text(
        "import streamtoon, own_helper, sys; print(own_helper.VALUE, sys.path[0])"
    )
    (tmp_path / "own_helper.py").write_text("VALUE = 7")
    done = run([sys.executable, "-m", "own_program"], tmp_path)
    assert done.stdout.split() == ["7", str(tmp_path)], done.stderr
