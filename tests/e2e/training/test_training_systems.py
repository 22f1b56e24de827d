"""Every bundled recipe and variant, from pictures to a video: it trains, exports, and runs in each engine."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fields_styles import save_network
from numpy.typing import NDArray
from paths import ROOT
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from skimage import data
from tiny_recipes import tiny

from engines.backends.selection import available
from engines.errors import StreamtoonError
from engines.looks.look import Look
from engines.registry.style import Style
from eval.metrics.ssim import ssim
from streamtoon import Cartoonizer
from training.export_style import finish
from training.recipe_loader import bundled_recipes, find_recipe, read_recipe
from training.setup import open_fabric
from training.trainer import Trainer

SAMPLE = ROOT / "samples" / "phone.mp4"


@pytest.fixture(autouse=True)
def _small_previews(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heavy networks would need longer for the images of a run than for its steps."""
    monkeypatch.setattr("training.export_style.PREVIEW_HEIGHT", 64)
    monkeypatch.setattr("training.run_logger.WIDTH", 64)
    monkeypatch.setattr("training.run_logger.HEIGHT", 64)


# That of fields learns from pairs: test_field_training.py.
@pytest.mark.parametrize("name", [name for name in bundled_recipes() if name != "paint-and-ink"])
def test_a_recipe_learns_to_reconstruct_then_plays_and_its_style_runs_a_video_in_every_engine(
    name: str, picture_folders: Path, vgg_files: dict[str, Path], tmp_path: Path
) -> None:
    recipe = tiny(name, "", picture_folders)
    trainer = Trainer(recipe, tmp_path / "run", open_fabric(recipe, "cpu"), vgg_files)
    if recipe.generator in ("lite", "unet"):  # which start as the identity: there would be nothing to learn
        dice = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in trainer.system.forward.generator.parameters():
                weight.add_(torch.randn(weight.shape, generator=dice), alpha=0.01)
    losses: list[dict[str, float]] = []
    trainer.train(lambda progress: losses.append(progress.losses))
    first, last = losses[0]["reconstruction"], np.mean([each["reconstruction"] for each in losses[9:12]])
    assert last < 0.8 * first
    assert recipe.weights.used() <= losses[-1].keys(), "every term of the recipe was learned from"
    style = finish(trainer, tmp_path / "style")
    assert (style.name, style.generator) == (name, recipe.generator)
    assert style.training is not None and style.training.steps == 14 and "torch" in style.training.versions
    reference = _require_alike(style, tmp_path)
    photo = cv2.VideoCapture(str(SAMPLE)).read()[1]
    likeness = ssim(reference[..., 1], photo[..., 1], data_range=255)  # of the green channel
    assert 0.02 < likeness < 0.999, "it is drawn, and still the same scene"


def _require_alike(style: Style, tmp_path: Path) -> NDArray[np.float64]:
    """The first picture of a video in every engine, which are alike: the first engine's."""
    frames = {}
    for engine in [row.name for row in available() if row.present]:
        with Cartoonizer(style.folder, engine=engine, precision="fp32", detail=0.25) as cartoonize:
            report = cartoonize.video(SAMPLE, tmp_path / f"{engine}.mp4", end=0.2)
        assert report.frames_out >= 5
        video = cv2.VideoCapture(str(tmp_path / f"{engine}.mp4"))
        frames[engine] = np.asarray(video.read()[1], np.float64)
    (reference, *others) = frames.values()
    for other in others:
        assert np.abs(other - reference).mean() < 1.5
    return reference


def test_the_second_phase_of_the_fields_goes_on_from_the_first_with_faces(
    tmp_path: Path, face_models: Path
) -> None:
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "face.png"), data.astronaut()[:300, 60:400, ::-1])
    first = save_network(tmp_path / "base")
    changes = [f"data.source={tmp_path / 'photos'}", f"start={tmp_path / 'base'}"]
    changes += ["data.crop=64", "batch=2", "checkpoints=1", "steps=1", "optimizer.generator_rate=1e-6"]
    recipe = read_recipe(find_recipe("paint-and-ink"), "lite-faces", changes)
    trainer = Trainer(recipe, tmp_path / "run", open_fabric(recipe, "cpu"), {"faces": face_models}, tmp_path)
    losses: list[dict[str, float]] = []
    trainer.train(lambda progress: losses.append(progress.losses))
    assert "faces" in losses[-1] and len(list(tmp_path.glob("*-heads-*.npy"))) == 1
    before, after = load_file(first.weights), trainer.system.forward.generator.state_dict()
    assert all(torch.allclose(after[name], weight, atol=1e-4) for name, weight in before.items())


def test_the_recipe_of_fields_makes_a_style_that_runs_a_video_in_every_engine(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for at in range(2):
        noise = np.random.default_rng(at).integers(0, 256, (240, 320, 3), np.uint8)
        photo = cv2.GaussianBlur(noise, (0, 0), 5).astype(float)
        low, high = photo.min(), photo.max()
        cv2.imwrite(str(tmp_path / "photos" / f"{at}.png"), np.rint((photo - low) * 255 / (high - low)))
    changes = [f"data.source={tmp_path / 'photos'}", "data.crop=64", "batch=2", "checkpoints=1", "steps=3"]
    recipe = read_recipe(find_recipe("paint-and-ink"), "lite", changes)
    trainer = Trainer(recipe, tmp_path / "run", open_fabric(recipe, "cpu"), {})
    losses: list[dict[str, float]] = []
    trainer.train(lambda progress: losses.append(progress.losses))
    assert recipe.weights.used() <= losses[-1].keys(), "every term of the recipe was learned from"
    style = finish(trainer, tmp_path / "style")
    assert (style.generator, style.look) == ("fields-lite", Look())
    assert style.int8_graph is not None and style.preview is not None
    assert style.training is not None and style.training.steps == 3
    _require_alike(style, tmp_path)


VARIANTS = [("fpt-unet", "more-texture"), ("resnet18", "gradient-penalty")] + [
    ("cartoon-to-human", variant) for variant in ("gan-v1", "gan-v2", "v3", "v4", "v5", "v6")
]


@pytest.mark.parametrize("name, variant", VARIANTS)
def test_a_variant_learns(
    name: str, variant: str, picture_folders: Path, vgg_files: dict[str, Path], tmp_path: Path
) -> None:
    recipe = tiny(name, variant, picture_folders)
    trainer = Trainer(recipe, tmp_path / "run", open_fabric(recipe, "cpu"), vgg_files)
    trainer.step = recipe.initialization.steps
    before = [weight.clone() for weight in trainer.system.forward.generator.parameters()]
    losses = trainer.learn(trainer.batches.at(0))
    assert recipe.weights.used() <= losses.keys()
    assert all(np.isfinite(list(losses.values())))
    after = trainer.system.forward.generator.parameters()
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_a_run_with_a_former_key_is_refused_with_the_present_one(
    picture_folders: Path, vgg_files: dict[str, Path], tmp_path: Path
) -> None:
    recipe = tiny("lwcomicgan", "", picture_folders)
    trainer = Trainer(recipe, tmp_path, open_fabric(recipe, "cpu"), vgg_files)
    trainer.learn(trainer.batches.at(0))
    trainer.save({})
    state = tmp_path / "state.safetensors"
    with safe_open(state, framework="pt") as stored:
        header = stored.metadata()
    saved = json.loads(header["recipe"])
    saved["colour_blocks"] = saved.pop("color_blocks")
    save_file(load_file(state), state, {**header, "recipe": json.dumps(saved)})
    with pytest.raises(StreamtoonError, match="the key colour_blocks, which is now called color_blocks; "):
        trainer.resume()
