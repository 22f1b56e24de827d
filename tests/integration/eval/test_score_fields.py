"""`streamtoon score fields`: a network's drawing beside the abstraction program's."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data
from typer.testing import CliRunner

from engines.common.image_files import write_image
from engines.errors import StyleError
from engines.export.onnx_graph import save_style
from engines.generators import create
from engines.registry.style import load_style
from streamtoon.cli.app import app
from streamtoon.tools.score_fields import FieldScore, mean_score, score_fields


@pytest.fixture(scope="module")
def fields_style(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network without training: its paint is the picture, and it inks nothing."""
    folder = tmp_path_factory.mktemp("style") / "blank"
    card = {
        "name": "blank",
        "title": "Blank",
        "description": "Not a style: weights for tests.",
        "generator": "fields-lite",
        "working_height": 720,
        "licence": "Apache-2.0",
        "attribution": "",
        "recipe": "",
        "look": {"levels": 0, "smooth": 0},
    }
    save_style(folder, create("fields-lite"), card)
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    dice = np.random.default_rng(2)
    for n in range(2):
        photo = np.full((162, 203, 3), (210, 190, 160), np.uint8)
        cv2.circle(photo, (100, 80), 45 + 5 * n, (170, 130, 110), -1)
        noise = dice.normal(0, 2, photo.shape)
        write_image(folder / f"{n}.png", np.clip(photo + noise, 0, 255).astype(np.uint8))
    return folder


def test_the_program_draws_faces_if_it_is_given_the_models(
    fields_style: Path, photos: Path, face_models: Path, tmp_path: Path
) -> None:
    for photo in photos.iterdir():
        shutil.copy(photo, tmp_path)
    small = cv2.resize(data.astronaut()[:300, 50:400], (280, 240), interpolation=cv2.INTER_AREA)
    write_image(tmp_path / "face.png", cv2.GaussianBlur(small, (0, 0), 2))
    style = load_style(fields_style)
    without, with_faces = (
        {path.name: score for path, score in score_fields(style, tmp_path, face_models=models)}
        for models in (None, face_models)
    )
    assert {name for name, score in without.items() if score != with_faces[name]} == {"face.png"}


def test_a_network_without_ink_has_none_in_common(fields_style: Path, photos: Path) -> None:
    scores = [
        s for _, s in score_fields(load_style(fields_style), photos, backend="openvino", precision="fp32")
    ]
    assert len(scores) == 2
    for score in scores:
        assert score.ink_iou == 0
        assert 0.3 < score.ssim < 1
        assert score.program_flat > score.flat
        assert score.program_outline > score.outline


@pytest.mark.parametrize("quality", ["fast", "lite"])
def test_photographs_of_any_size_are_scored_in_every_quality(tmp_path: Path, quality: str) -> None:
    y, x = np.mgrid[:109, :205]
    disc = (y - 50) ** 2 + (x - 90) ** 2 < 30**2
    write_image(
        tmp_path / "disc.png", np.where(disc[..., None], (60, 90, 40), (210, 190, 160)).astype(np.uint8)
    )
    ((_, score),) = score_fields(load_style("comic"), tmp_path, backend="openvino", quality=quality)
    assert score.ssim > 0.8
    assert score.ink_iou > 0.3


def test_means_are_of_each_figure() -> None:
    one, two = FieldScore(1, 0, 0.5, 0.1, 0.6, 0.2, 0.4), FieldScore(0, 1, 0.7, 0.3, 0.8, 0.4, 0.6)
    mean = mean_score([one, two])
    assert dataclasses.astuple(mean) == pytest.approx((0.5, 0.5, 0.6, 0.2, 0.7, 0.3, 0.5))
    with pytest.raises(ValueError, match="no scores"):
        mean_score([])


def test_a_style_that_is_no_look_is_refused(style_folder: Path, photos: Path) -> None:
    with pytest.raises(StyleError, match="has no look"):
        list(score_fields(load_style(style_folder), photos))


def test_the_command_gives_every_photograph(fields_style: Path, photos: Path) -> None:
    arguments = ["score", "fields", "--style", str(fields_style), "--photos", str(photos), "-q"]
    told = CliRunner().invoke(app, [*arguments, "--json"])
    assert told.exit_code == 0, told.output
    facts = json.loads(told.stdout)
    assert sorted(facts["photos"]) == ["0.png", "1.png"]
    assert facts["mean"]["ssim"] == pytest.approx(
        np.mean([each["ssim"] for each in facts["photos"].values()])
    )
    shown = CliRunner().invoke(app, arguments)
    assert "the program" in shown.stdout
