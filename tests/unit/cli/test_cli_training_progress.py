"""What `train` says before and during a run, held to made-up folders and steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from streamtoon.cli import training_progress
from streamtoon.cli.common import console
from streamtoon.cli.training_progress import ESTIMATE_AFTER_STEPS, report_images
from training.recipe_loader import find_recipe, read_recipe
from training.trainer import TrainingProgress


def _folder(path: Path, count: int) -> Path:
    path.mkdir()
    for at in range(count):
        Image.new("RGB", (8, 8)).save(path / f"{at}.png")
    return path


def test_pictures_are_counted_and_few_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_progress, "MIN_IMAGES", 3)
    settings = [f"data.source='{_folder(tmp_path / 'photos', 1)}'"]
    settings += [f"data.target='{_folder(tmp_path / 'drawings', 3)}'"]
    recipe = read_recipe(find_recipe("fpt-unet"), settings=settings)
    report_images(recipe, quiet=False)
    said, warning = capsys.readouterr().err.splitlines()
    assert said == "learning from 1 photo and 3 drawings"
    assert warning.startswith("warning: only 1 photo: ")
    swapped = replace(recipe.data, source=recipe.data.target)
    report_images(replace(recipe, data=swapped), quiet=True)
    assert capsys.readouterr().err == ""


def test_the_length_is_told_once_when_speed_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[int] = []
    show = training_progress._with_estimate(console(), 100, lambda progress: shown.append(progress.step))
    for step in range(101, 101 + 2 * ESTIMATE_AFTER_STEPS):
        show(TrainingProgress(step, 7330, 0.0, {}, 0.5, 16, 0.0))
    assert shown == list(range(101, 101 + 2 * ESTIMATE_AFTER_STEPS))
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "1:00:00" in said[0]  # 7200 steps of half a second
