"""The trainer on tiny data: both discriminators, every term of the loss, what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engines.errors import StreamtoonError
from engines.generators import create
from training.data.pictures import Batches, random_crop
from training.recipe import Card, Data, Recipe, Weights
from training.trainer import Trainer
from training.vgg import CHANNELS, CONVOLUTIONS, VGG16


@pytest.fixture(scope="module")
def vgg_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-16's shapes with seeded random values: enough for shapes, gradients and falling losses."""
    generator = torch.Generator().manual_seed(0)
    state, width = {}, 3
    for name, index in CONVOLUTIONS.items():
        out = CHANNELS[name[4]]
        scale = (2 / (9 * width)) ** 0.5
        state[f"features.{index}.weight"] = torch.randn(out, width, 3, 3, generator=generator) * scale
        state[f"features.{index}.bias"] = torch.zeros(out)
        width = out
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    save_file(state, path)
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Data:
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name in ("photos", "cartoons"):
        (root / name).mkdir()
        for n in range(3):
            noise = rng.integers(0, 255, (6, 5, 3), dtype=np.uint8)
            cv2.imwrite(str(root / name / f"{n}.png"), cv2.resize(noise, (100, 120)))
    return Data(str(root / "photos"), str(root / "cartoons"), crop=64)


def recipe(data: Data, **changes: object) -> Recipe:
    every = Weights(0.1, 0.1, 0.1, 1.0, 0.1, 1.0, 0.1, 1.0)
    card = Card("Tiny", "noise", "CC0-1.0")
    given: dict[str, object] = {"weights": every, "steps": 2, "batch": 2, **changes}
    return Recipe("tiny", data, card=card, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("discriminator", ["patch", "vgg-heads"])
def test_a_run_leaves_weights_state_and_strip(
    tmp_path: Path, folders: Data, vgg_file: Path, discriminator: str
) -> None:
    trainer = Trainer(recipe(folders, discriminator=discriminator), tmp_path / "run", vgg_file)
    before = {k: v.clone() for k, v in trainer.generator.state_dict().items()}
    trainer.train(Path(folders.photos))
    after = trainer.generator.state_dict()
    assert any(not torch.equal(before[k], after[k]) for k in before)
    weights = load_file(tmp_path / "run" / "average-000002.safetensors")
    create("unet").load_state_dict(weights)
    strip = cv2.imread(str(tmp_path / "run" / "strip-000002.png"))
    assert strip is not None and strip.shape[0] == 2 * 288
    again = Trainer(recipe(folders, discriminator=discriminator), tmp_path / "other", vgg_file)
    again.start_from(tmp_path / "run" / "state.safetensors")
    assert all(torch.equal(v, after[k]) for k, v in again.generator.state_dict().items())


def test_the_abstraction_is_learned(tmp_path: Path, folders: Data, vgg_file: Path) -> None:
    only = recipe(folders, weights=Weights(abstraction=1.0), generator_rate=2e-4)
    trainer = Trainer(only, tmp_path / "run", vgg_file)
    batch = trainer._batches.at(0)
    values = [trainer.train_step(batch)["abstraction"] for _ in range(40)]
    assert min(values[-5:]) < 0.7 * values[0], values


def test_an_exploding_loss_stops_with_a_sentence(tmp_path: Path, folders: Data, vgg_file: Path) -> None:
    trainer = Trainer(recipe(folders, weights=Weights(abstraction=1.0)), tmp_path / "run", vgg_file)
    with torch.no_grad():
        next(trainer.generator.parameters()).fill_(float("nan"))
    with pytest.raises(StreamtoonError, match="no longer a number at step 0"):
        trainer.train_step(trainer._batches.at(0))


def test_a_batch_depends_on_seed_and_step_alone(tmp_path: Path, folders: Data) -> None:
    def batches(seed: int) -> Batches:
        return Batches(Path(folders.photos), Path(folders.cartoons), tmp_path / "cache",
                       batch=2, crop=64, smallest=0.5, seed=seed)  # fmt: skip

    stream = batches(1).from_step(0)
    next(stream)
    second = next(stream)
    assert torch.equal(second.photos, batches(1).at(1).photos)
    assert not torch.equal(second.photos, batches(2).at(1).photos)


def test_aligned_images_are_cut_alike() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (90, 70, 3), dtype=np.uint8)
    for _ in range(10):
        a, b = random_crop([image, 255 - image], 64, 0.5, rng)
        assert a.shape == (64, 64, 3)
        assert np.abs(a.astype(int) + b - 255).max() <= 1


def test_vgg_matches_a_plain_stack_of_layers(vgg_file: Path) -> None:
    state, x = load_file(vgg_file), torch.rand(1, 3, 32, 32) * 2 - 1
    net = VGG16(vgg_file)
    seen = net(x, ("conv1_2", "conv2_1"))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    y = ((x + 1) / 2 - mean) / deviation
    for index in (0, 2):
        y = torch.conv2d(y, state[f"features.{index}.weight"], padding=1).relu()
    torch.testing.assert_close(seen[0], y)
    y = torch.max_pool2d(y, 2)
    raw = torch.conv2d(y, state["features.5.weight"], padding=1)
    torch.testing.assert_close(seen[1], raw.relu())
    torch.testing.assert_close(net(x, ("conv2_1",), activated=False)[0], raw)


def test_a_file_that_is_not_vgg_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "no.safetensors"
    path.write_bytes(b"hello")
    with pytest.raises(StreamtoonError, match="not VGG-16's features"):
        VGG16(path)


def test_an_empty_folder_and_a_broken_picture_are_one_sentence(tmp_path: Path, folders: Data) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StreamtoonError, match="no pictures there"):
        Batches(tmp_path / "empty", tmp_path / "empty", tmp_path, batch=1, crop=64, smallest=1, seed=0)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_text("text")
    bad = Batches(tmp_path / "bad", tmp_path / "bad", tmp_path, batch=1, crop=64, smallest=1, seed=0)
    with pytest.raises(StreamtoonError, match="not a picture that can be opened"):
        bad.at(0)


def test_a_finished_style_runs_in_an_engine(tmp_path: Path, folders: Data, vgg_file: Path) -> None:
    from engines.style import load_style
    from training.finish import finish

    trainer = Trainer(recipe(folders, weights=Weights(abstraction=1.0)), tmp_path / "run", vgg_file)
    trainer.train_step(trainer._batches.at(0))
    finish(trainer.recipe, trainer.average, Path(folders.photos), tmp_path / "style")
    style = load_style(tmp_path / "style")
    assert (style.name, style.parameters, style.licence) == ("tiny", 1_467_075, "CC0-1.0")
    assert style.preview is not None and style.int8_graph is not None
    preview = cv2.imread(str(style.preview))
    assert preview is not None and preview.shape[0] == 720


def test_what_is_not_learned_from_is_not_computed(tmp_path: Path, folders: Data, vgg_file: Path) -> None:
    trainer = Trainer(recipe(folders, weights=Weights(colour=1.0)), tmp_path / "run", vgg_file)
    batch = trainer._batches.at(0)
    assert batch.abstractions is None and not (tmp_path / "abstractions").exists()
    assert trainer.train_step(batch).keys() == {"colour"}
