"""`streamtoon train`: the whole way as a user goes it, interruptions, and one sentence for what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engines.registry.style import load_style

STREAMTOON = [sys.executable, "-m", "streamtoon"]
QUICK = ["--set", "generator=lite", "--set", "data.crop=64", "--set", "batch=2", "--set", "checkpoints=2",
         "--set", "precision=fp32", "--set", "weights={texture=0.0, structure=0.0}",
         "--device", "cpu"]  # fmt: skip


def train(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*STREAMTOON, "train", *map(str, arguments)],
        capture_output=True, text=True, cwd=folder, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture
def line(picture_folders: Path, vgg_files: dict[str, Path]) -> list[str]:
    return ["fpt-unet", "--source", str(picture_folders / "photos"), "--target",
            str(picture_folders / "cartoons"), "--vgg16", str(vgg_files["vgg16"]), *QUICK]  # fmt: skip


def test_a_line_makes_a_style_and_says_where_it_is(tmp_path: Path, line: list[str]) -> None:
    done = train(tmp_path, *line, "--set", "steps=3")
    assert done.returncode == 0, done.stderr
    assert load_style(tmp_path / "fpt-unet").name == "fpt-unet"
    assert json.loads((tmp_path / "runs" / "fpt-unet" / "run.json").read_text())["step"] == 3
    said = done.stderr.splitlines()
    assert said[0].startswith("learning from ") and " drawings" in said[0]
    assert said[1].startswith("warning: ") and "500 or more" in said[1]
    assert said[2].startswith("fpt-unet: lite, 3 steps of 2, from step 0, fp32 on cpu")
    assert said[-1] == "try it: streamtoon video in.mp4 out.mp4 --style fpt-unet"
    assert json.loads((tmp_path / "fpt-unet" / "recipe.json").read_text())["weights"]["texture"]["end"] == 0
    again = train(tmp_path, *line, "--set", "steps=3", "--run", "other")
    assert again.returncode == 1 and "fpt-unet already holds a style; add --overwrite" in again.stderr
    assert "Warning" not in done.stderr and "Traceback" not in done.stderr and done.stdout == ""


def test_ctrl_c_saves_and_resume_goes_on(tmp_path: Path, line: list[str]) -> None:
    with subprocess.Popen(
        [*STREAMTOON, "train", *line, "--set", "steps=100000"],
        stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for said in process.stderr:
            if said.startswith("step "):
                break
        os.kill(process.pid, signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(240) == 130
    assert "add --resume to the same command" in rest and "Traceback" not in rest
    saved = json.loads((tmp_path / "runs" / "fpt-unet" / "run.json").read_text())["step"]
    assert saved >= 1
    again = train(tmp_path, *line, "--set", f"steps={saved + 2}")
    assert again.returncode == 1
    assert "already holds a run; add --resume to continue it" in again.stderr
    done = train(tmp_path, *line, "--set", f"steps={saved + 2}", "--resume")
    assert done.returncode == 0, done.stderr
    assert f"from step {saved}," in done.stderr


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["no-such-recipe"], "there is no recipe no-such-recipe; name a TOML file or one of"),
        (["fpt-unet", "--variant", "more-glitter"], "no variant 'more-glitter'; allowed are more-texture"),
        (["fpt-unet", "--set", "batch=many"], "batch = 'many'; allowed is a whole number"),
        (["fpt-unet", "--source", "nowhere", "--target", "nowhere"], "nowhere contains no images"),
        (["fpt-unet", "--set", "precision=fp16", "--device", "cpu"], "needs a GPU"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = train(tmp_path, *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not list(tmp_path.iterdir()), "nothing is left behind"
