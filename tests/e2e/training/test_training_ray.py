"""Ray: training workers, tasks over photographs, and a node that is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from paths import ROOT
from ray_available import require_ray
from safetensors.torch import load_file
from skimage import data

from training.data.field_pairs import make_pairs
from training.recipe_loader import find_recipe, read_recipe

pytest.importorskip("ray")
pytestmark = pytest.mark.realtime
TIMEOUT_S = 900
RECIPE = """
name = "tiny"
generator = "lite"
steps = 3
batch = 2
checkpoints = 1
precision = "fp32"
[data]
source = "{0}/photos"
target = "{0}/cartoons"
crop = 64
[weights]
color = 1.0
[optimizer]
name = "sgd"
generator_rate = 0.01
[card]
title = "Tiny"
description = "Noise."
licence = "CC0-1.0"
"""


@pytest.fixture(autouse=True)
def _ray_runs() -> None:
    require_ray()


def _run(line: Sequence[object]) -> str:
    # On a busy machine, Ray's processes need longer to start than Ray waits by default.
    patience = {"RAY_raylet_start_wait_time_s": "300"}
    environment = {**os.environ, **patience, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests' / 'support'}"}
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
    return done.stdout


def test_ray_train_learns_what_one_process_learns(picture_folders: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE.format(picture_folders.as_posix()))
    command = [
        sys.executable,
        "-m",
        "streamtoon",
        "train",
        recipe,
        "--out",
        tmp_path / "style",
        "--device",
        "cpu",
    ]
    _run([*command, "--run", tmp_path / "two", "--ray", "local", "--devices", "2"])
    assert (tmp_path / "style" / "card.toml").exists()
    job = {"recipe": str(recipe), "run": str(tmp_path / "one"), "vgg": str(tmp_path), "settings": []}
    _run([sys.executable, ROOT / "tests" / "support" / "rank_training.py", json.dumps([job])])
    one, two = (load_file(tmp_path / name / "state.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
    for key, value in one.items():
        assert torch.allclose(two[key].double(), value.double(), atol=2e-5, rtol=1e-4), key
    facts = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("one", "two")]
    assert facts[1]["losses"] == pytest.approx(facts[0]["losses"], rel=1e-3)


def test_fields_of_ray_tasks_are_those_of_this_process(tmp_path: Path, face_models: Path) -> None:
    photos, dice = tmp_path / "photos", np.random.default_rng(4)
    photos.mkdir()
    for n in range(3):
        rough = dice.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        cv2.imwrite(str(photos / f"{n}.png"), cv2.resize(rough, (280, 210), interpolation=cv2.INTER_CUBIC))
    cv2.imwrite(str(photos / "face.png"), data.astronaut()[:250, 80:380, ::-1])
    command = [sys.executable, "-m", "streamtoon", "dataset", "fields", photos, "--cache", tmp_path / "ray"]
    command += ["--variant", "faces", "--faces", face_models]
    said = json.loads(_run([*command, "--ray", "local", "--json"]))
    (tmp_path / "own").mkdir()
    recipe = read_recipe(find_recipe("paint-and-ink"), "faces")
    own = make_pairs(
        photos, tmp_path / "own", recipe.fields, recipe.data.scales, workers=1, face_models=face_models
    )
    made = sorted((tmp_path / "ray").glob("*.npy"))
    assert said["pairs"] == len(made) == len(own) == 5, "one of the four shows a face"
    for a, b in zip(own, made, strict=True):
        assert a.name == b.name and a.read_bytes() == b.read_bytes()


def test_work_of_a_lost_node_is_done_by_another(tmp_path: Path) -> None:
    jobs = 12
    said = _run([sys.executable, ROOT / "tests" / "support" / "ray_lost_node.py", tmp_path, str(jobs)])
    results = dict(json.loads(said.splitlines()[-1]))
    assert results == {job: job * job for job in range(jobs)}
    tries = [int(file.name.split("-")[0]) for file in tmp_path.iterdir()]
    assert set(tries) == set(range(jobs)) and len(tries) <= jobs + 2, "finished work is not repeated"
