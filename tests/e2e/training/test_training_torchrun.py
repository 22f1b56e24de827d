"""Training in several processes: torchrun over gloo, against the same recipe in one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from paths import ROOT
from safetensors import safe_open
from safetensors.torch import load_file

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
SCRIPT = ROOT / "tests" / "support" / "rank_training.py"
TIMEOUT_S = 900

RECIPE = """
name = "ranks"
generator = "lite"
steps = 4
batch = 4
checkpoints = 1
precision = "fp32"
[data]
source = "{0}/photos"
target = "{0}/cartoons"
crop = 64
[weights]
[optimizer]
name = "sgd"
generator_rate = 0.01
discriminator_rate = 0.01
[card]
title = "Ranks"
description = "Noise."
licence = "CC0-1.0"
"""

GAME = (
    "weights={adversarial=1.0, surface=1.0, texture=1.0, consistency=1.0}",
    "adversary.discriminator=white-box",
    "adversary.objective=vanilla",
    "adversary.soft_labels=true",
    "adversary.history=3",
    "adversary.color_blind=true",
)
CRITIC = (
    "weights={adversarial=1.0, content=1.0, gram=1.0, cycle=1.0}",
    "adversary.discriminator=white-box",
    "adversary.objective=wasserstein-gp",
    "adversary.history=2",
)
FIELDS = (
    'generator="fields-lite"',
    "weights={paint=4.0, ink=1.0, consistency=1.0, drawing=1.0}",
    'data.target=""',
)


@pytest.fixture
def recipe(picture_folders: Path, tmp_path: Path) -> Path:
    file = tmp_path / "ranks.toml"
    file.write_text(RECIPE.format(picture_folders.as_posix()))
    return file


def run(line: Sequence[object]) -> str:
    """Run a command from the repository and return what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [str(part) for part in line],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=environment,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def runs(picture_folders: Path, vgg_files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs of one process (`*-one`), of two (`*-two`), and of one and two in turns."""
    folder, dice = tmp_path_factory.mktemp("runs"), np.random.default_rng(2)
    (folder / "photos").mkdir()
    for n in range(3):  # large enough for fields
        rough = dice.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        photo = cv2.resize(rough, (320, 240), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / "photos" / f"{n}.png"), photo)
    recipe = folder / "ranks.toml"
    recipe.write_text(RECIPE.format(picture_folders.as_posix()))
    fields = (*FIELDS, f'data.source="{(folder / "photos").as_posix()}"')

    def job(name: str, settings: Sequence[str], **more: object) -> dict[str, object]:
        where = {"recipe": str(recipe), "run": str(folder / name), "vgg": str(vgg_files["vgg16"].parent)}
        return {**where, "settings": list(settings), **more}

    def train(launcher: Sequence[str], *jobs: dict[str, object]) -> None:
        run([*launcher, str(SCRIPT), json.dumps(jobs)])

    train(
        (sys.executable,),
        job("game-one", GAME),
        job("critic-one", CRITIC),
        job("more", GAME, until=2),
    )
    train(
        TORCHRUN,
        job("game-two", GAME),
        job("critic-two", CRITIC),
        job("fields-two", fields),  # both processes compute the pairs first
        job("more", GAME, resume=True),
        job("fewer", GAME, until=2),
    )
    train((sys.executable,), job("fewer", GAME, resume=True), job("fields-one", fields))
    return folder


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("game-one", "game-two"),
        ("critic-one", "critic-two"),
        ("fields-one", "fields-two"),
        ("game-one", "more"),
        ("game-one", "fewer"),
    ],
)
def test_any_number_of_processes_learns_the_same(runs: Path, one: str, other: str) -> None:
    """Weights, optimizers and pools are the same up to the rounding of sums; so are the losses."""
    a, b = (load_file(runs / name / "state.safetensors") for name in (one, other))
    assert a.keys() == b.keys()
    for key, value in a.items():
        tolerance = 1 if value.dtype == torch.uint8 else 1e-4
        assert torch.allclose(b[key].double(), value.double(), atol=tolerance, rtol=1e-3), key
    facts = [json.loads((runs / name / "run.json").read_text()) for name in (one, other)]
    assert facts[0]["step"] == facts[1]["step"] == 4
    assert facts[1]["losses"] == pytest.approx(facts[0]["losses"], rel=1e-2, abs=1e-4)


def test_runs_differ_where_random_numbers_do(runs: Path) -> None:
    """The tolerances above can tell runs apart: another game leads elsewhere."""
    a, b = (load_file(runs / name / "state.safetensors") for name in ("game-one", "critic-one"))
    shared = [key for key in a if key.startswith("network:generator:") and key in b]
    assert shared and any(not torch.allclose(a[key], b[key], atol=1e-4, rtol=1e-3) for key in shared)


LIGHT = ("--set", "weights={color=1.0}", "--set", "batch=2", "--device", "cpu")


def _started(line: Sequence[object]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    arguments = [str(part) for part in line]
    return subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=ROOT,
        start_new_session=True,
    )  # fmt: skip


def _wait_for(file: Path, process: subprocess.Popen[str], since: float = 0.0) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not (file.exists() and file.stat().st_mtime > since):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, f"{file} was not written"
        time.sleep(0.1)


def test_ctrl_c_under_torchrun_saves_once_and_one_process_finishes(recipe: Path, tmp_path: Path) -> None:
    command = ("train", recipe, "--run", tmp_path / "run", "--out", tmp_path / "style", *LIGHT)
    line = [*TORCHRUN, "-m", "--", "streamtoon", *command, "--save-every", "0.01", "--set", "steps=100000"]
    with _started(line) as process:
        _wait_for(tmp_path / "run" / "state.safetensors", process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all processes of the job
        said, _ = process.communicate(timeout=TIMEOUT_S)
    assert said.count("interrupted: saved in") == 1, said
    assert said.count("ranks: lite") == 1, "only the first process reports"
    with safe_open(tmp_path / "run" / "state.safetensors", framework="pt") as file:
        step = int(file.metadata()["step"])
    said = run([sys.executable, "-m", "streamtoon", *command, "--resume", "--set", f"steps={step + 1}"])
    assert f"from step {step}" in said
    assert (tmp_path / "style" / "card.toml").exists()


def _ranks(process: subprocess.Popen[str]) -> list[int]:
    """The processes that torchrun has started, in the order of their ranks."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(each) for each in children if b"streamtoon" in Path(f"/proc/{each}/cmdline").read_bytes()]


def _rests(pid: int) -> bool:
    """Whether a process computes nothing for two seconds, or has ended."""

    def ticks() -> int:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))

    try:
        before = ticks()
        time.sleep(2)
        return ticks() == before
    except FileNotFoundError:
        return True


def test_torchrun_goes_on_after_a_process_was_killed(recipe: Path, tmp_path: Path) -> None:
    """The new processes wait for each other, and take no address of those that have ended."""
    state = tmp_path / "run" / "state.safetensors"
    command = ("train", recipe, "--run", tmp_path / "run", "--out", tmp_path / "style", *LIGHT)
    line = [*TORCHRUN, "--max-restarts", "1", "-m", "--", "streamtoon", *command, "--save-every", "0.01"]
    with _started([*line, "--set", "steps=100000"]) as process:
        _wait_for(state, process)
        ranks = before = _ranks(process)
        os.kill(before[-1], signal.SIGKILL)
        while len(ranks) < 2 or set(ranks) & set(before):
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)
            ranks = _ranks(process)
        os.kill(ranks[-1], signal.SIGSTOP)
        while not _rests(ranks[0]):  # until it waits for the other one
            pass
        os.kill(ranks[-1], signal.SIGCONT)
        _wait_for(state, process, since=time.time())
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=TIMEOUT_S)
    begun = [
        int(line.split("from step ")[1].split(",")[0]) for line in said.splitlines() if "from step" in line
    ]
    assert len(begun) == 2 and begun[0] == 0 < begun[1], said
    assert "failed to connect" not in said
