"""The trainer: every term and objective learns, runs resume bit for bit, and what goes wrong is said."""

from __future__ import annotations

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from engines.errors import StreamtoonError
from engines.generators import create
from training.image_pool import ImagePool
from training.recipe import RecipeError
from training.recipe_loader import read_recipe
from training.setup import open_fabric
from training.trainer import Trainer, TrainingProgress

Make = Callable[..., Trainer]


TINY = """
name = "tiny"
steps = 4
batch = 2
checkpoints = 2
precision = "fp32"
[data]
source = "{0}/photos"
target = "{0}/cartoons"
crop = 64
[weights]
[card]
title = "Tiny"
description = "Noise."
licence = "CC0-1.0"
"""


@pytest.fixture
def recipe_file(picture_folders: Path, tmp_path: Path) -> Path:
    """A recipe that is whole once a weight is set."""
    file = tmp_path / "tiny.toml"
    file.write_text(TINY.format(picture_folders.as_posix()))
    return file


@pytest.fixture
def make(recipe_file: Path, vgg_files: dict[str, Path], tmp_path: Path) -> Make:
    """A trainer of the tiny recipe: `make(*settings, run="run")`."""

    def trainer(*settings: str, run: str = "run") -> Trainer:
        recipe = read_recipe(recipe_file, settings=settings)
        return Trainer(recipe, tmp_path / run, open_fabric(recipe, "cpu"), vgg_files)

    return trainer


# Small and quick: the way back included, every objective's own branch is entered.
LIGHT = ("weights={adversarial=1.0, color=1.0}", "adversary.discriminator=white-box")


def test_every_term_is_finite_and_reaches_the_generator(make: Make, tmp_path: Path) -> None:
    """One at a time: a term that does not move the generator would be a weight that does nothing.

    That of abstraction, whose photographs are others, is in test_training_systems.py.
    """
    terms = ("adversarial", "surface", "texture", "structure", "content", "gram", "color",
             "total_variation", "scale", "consistency", "cycle", "identity", "paired", "match")  # fmt: skip
    for term in terms:
        trainer = make(
            f"weights={{{term}=1.0}}", "data.paired=true", "adversary.discriminator=white-box", run=term
        )
        with torch.no_grad():  # off the identity, where distances to the source have no slope
            for weight in trainer.system.forward.generator.parameters():
                weight.add_(torch.randn(weight.shape), alpha=0.01)
        losses = trainer.learn(trainer.batches.at(0))
        assert math.isfinite(losses[term]) and losses["gradient"] > 0, (term, losses)
        assert losses["total"] == pytest.approx(sum(losses.get(way + term, 0) for way in ("", "back/"))), term


@pytest.mark.parametrize(
    "objective", ["vanilla", "least-squares", "hinge", "wasserstein-clip", "wasserstein-gp"]
)
@pytest.mark.parametrize("discriminator", ["white-box", "vgg-heads"])
def test_every_objective_plays_with_both_kinds_of_discriminators(
    make: Make, objective: str, discriminator: str
) -> None:
    game = (f"adversary.objective={objective}", f"adversary.discriminator={discriminator}")
    rates = ("optimizer.discriminator_rate=2e-4", "optimizer.generator_rate=1e-9")  # a fake that stands still
    trainer = make("weights={adversarial=1.0}", *game, *rates)
    network = trainer.system.adversaries()["adversarial"].network
    before = {key: value.clone() for key, value in network.state_dict().items()}
    batch = trainer.batches.at(0)
    losses = [trainer.learn(batch) for _ in range(8)]
    assert any(not torch.equal(before[key], value) for key, value in network.state_dict().items())
    own = [each["adversarial discriminator"] for each in losses]
    # The first step of clipping cuts the weights that it began with.
    assert own[-1] < own[1], "the discriminator learns to tell them apart"
    if objective == "wasserstein-clip":
        assert max(float(weight.detach().abs().max()) for weight in network.parameters()) <= 0.01


def test_smoothed_edges_count_as_fakes_by_their_weight(make: Make, picture_folders: Path) -> None:
    game = (
        "weights={adversarial=1.0}",
        "adversary.objective=least-squares",
        "adversary.discriminator=patchgan",
    )
    plain, idle = make(*game, run="plain"), make(*game, run="idle")
    edges = make(*game, "adversary.edges=3.0", f"data.smoothed={picture_folders / 'smoothed'}", run="edges")
    batch = edges.batches.at(0)
    assert batch.smoothed is not None and plain.batches.at(0).smoothed is None
    name = "adversarial discriminator"
    (scores,) = idle.system.adversaries()["adversarial"].network([batch.smoothed])
    more = edges.learn(batch)[name] - plain.learn(plain.batches.at(0))[name]
    assert more == pytest.approx(3.0 * float(scores.detach().square().mean()) / 2, rel=1e-3)


def test_soft_labels_are_drawn_by_the_step(make: Make) -> None:
    game = (
        "weights={adversarial=1.0}",
        "adversary.objective=least-squares",
        "adversary.discriminator=patchgan",
    )
    hard, soft, again = (
        make(*game),
        make(*game, "adversary.soft_labels=true"),
        make(*game, "adversary.soft_labels=true"),
    )
    losses = [each.learn(each.batches.at(0))["adversarial discriminator"] for each in (hard, soft, again)]
    assert losses[1] == losses[2] != losses[0]


def test_a_history_fills_and_gives_back_what_it_was_given() -> None:
    history, dice = ImagePool(4), torch.Generator().manual_seed(0)
    given = [torch.full((1, 3, 2, 2), n / 127.5 - 1) for n in range(60)]
    shown = [round(float((history.exchange(fake, dice)[0, 0, 0, 0] + 1) * 127.5)) for fake in given]
    assert shown[:4] == [0, 1, 2, 3]
    assert all(0 <= back <= at for at, back in enumerate(shown)) and len(history.pictures) == 4
    older = sum(back < at for at, back in enumerate(shown[4:], 4))
    assert 15 < older < 41, "about every other one is an older one"


@pytest.mark.parametrize(
    "settings",
    [
        (*LIGHT, "initialization.steps=2", "weights.consistency=1.0"),
        ("weights={adversarial=1.0, cycle=[10.0, 1.0], cycle_features=[0.0, 9.0]}", "adversary.history=2",
         "adversary.discriminator=white-box", "adversary.objective=wasserstein-gp"),
        (*LIGHT, "optimizer.name=sgd", "adversary.objective=vanilla", "adversary.soft_labels=true"),
    ],
)  # fmt: skip
def test_a_resumed_run_is_bit_for_bit_the_uninterrupted_one(make: Make, settings: tuple[str, ...]) -> None:
    told: dict[str, list[dict[str, float]]] = {"whole": [], "parts": []}
    whole = make(*settings, run="whole")
    whole.train(lambda progress: told["whole"].append(progress.losses))
    first = make(*settings, run="parts")

    def stop_after_two(progress: TrainingProgress) -> None:
        told["parts"].append(progress.losses)
        if progress.step == 2:
            first.stop()

    with pytest.raises(KeyboardInterrupt):
        first.train(stop_after_two)
    second = make(*settings, run="parts")
    second.resume()
    assert second.step == 2
    second.train(lambda progress: told["parts"].append(progress.losses))
    assert told["whole"] == told["parts"]
    for (name, a), b in zip(whole.system.networks().items(), second.system.networks().values(), strict=True):
        for key, value in a.state_dict().items():
            assert torch.equal(value, b.state_dict()[key]), (name, key)


def test_a_run_leaves_state_facts_checkpoints_samples_and_curves(make: Make, tmp_path: Path) -> None:
    trainer = make(*LIGHT, "weights.cycle=1.0")
    seen: list[TrainingProgress] = []
    trainer.train(seen.append)
    run = tmp_path / "run"
    assert [progress.step for progress in seen] == [1, 2, 3, 4] and seen[-1].remaining == 0
    assert seen[-1].epoch == 4 * 2 / 3 and 0 <= seen[-1].waiting <= 1
    facts = json.loads((run / "run.json").read_text())
    assert (facts["step"], facts["steps"], facts["recipe"]["batch"]) == (4, 4, 2)
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    assert names == [f"{kind}-000000{n}.safetensors" for kind in ("back", "step") for n in (2, 4)]
    create("unet").load_state_dict(load_file(run / "checkpoints" / names[-1]))
    with safe_open(run / "checkpoints" / names[-1], framework="pt") as file:
        assert file.metadata() == {"step": "4", "epoch": "2.6667", "generator": "unet"}
    strip = cv2.imread(str(run / "samples" / "strip.webp"))
    # Photos, then cartoon and there-and-back at two steps, a label above each of the three.
    assert strip is not None and strip.shape == (192 + 2 * 2 * 192 + 3 * 24, 3 * 256, 3)
    assert list((run / "logs").glob("events.*"))
    assert not list(run.glob(".*")), "no temporary file is left"


def test_the_average_follows_the_generator_as_its_closed_form_says(make: Make) -> None:
    trainer = make(*LIGHT, "ema=0.5")
    way = trainer.system.forward
    mean = {key: value.double() for key, value in way.average.state_dict().items()}
    for step in range(3):
        trainer.learn(trainer.batches.at(step))
        decay = min(0.5, (1 + step) / (10 + step))
        for key, value in way.generator.state_dict().items():
            mean[key] = decay * mean[key] + (1 - decay) * value.double()
    for key, value in way.average.state_dict().items():
        torch.testing.assert_close(value.double(), mean[key], atol=1e-6, rtol=1e-5)


def test_a_style_can_be_set_out_from(make: Make, style_folder: Path) -> None:
    trainer = make(*LIGHT, f"start={style_folder}")
    weights = load_file(style_folder / "weights.safetensors")
    for network in (trainer.system.forward.generator, trainer.system.forward.average):
        assert all(torch.equal(value, weights[key]) for key, value in network.state_dict().items())
    with pytest.raises(RecipeError, match=r"the network unet; allowed for generator = 'lwcomicgan'"):
        make(*LIGHT, f"start={style_folder}", "generator=lwcomicgan")


def test_what_cannot_be_resumed_is_one_sentence(make: Make, tmp_path: Path) -> None:
    with pytest.raises(StreamtoonError, match="has no run to resume"):
        make(*LIGHT).resume()
    trainer = make(*LIGHT)
    trainer.learn(trainer.batches.at(0))
    trainer.save({})
    longer = make(*LIGHT, "steps=9")
    longer.resume()
    assert (longer.step, longer.steps) == (1, 9)
    with pytest.raises(StreamtoonError, match=r"started with optimizer\.generator_rate = 0\.00015, but"):
        make(*LIGHT, "optimizer.generator_rate=0.1").resume()
    state = tmp_path / "run" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-1000])
    with pytest.raises(StreamtoonError, match=r"state\.safetensors is damaged"):
        make(*LIGHT).resume()


def test_a_loss_that_is_no_number_or_runs_away_names_the_last_good_state(make: Make, tmp_path: Path) -> None:
    trainer = make(*LIGHT)
    trainer.learn(trainer.batches.at(0))
    trainer.save({})
    with torch.no_grad():
        next(trainer.system.forward.generator.parameters()).fill_(float("nan"))
    with pytest.raises(StreamtoonError, match=r"not a finite number at step 1; .*state\.safetensors"):
        trainer.train()
    again = make(*LIGHT)
    again.resume()
    assert again.step == 1, "the good state is still there"
    with torch.no_grad():
        again.system.forward.generator.head.weight.mul_(1e7)  # type: ignore[union-attr, operator]
    with pytest.raises(StreamtoonError, match=r"the loss is .* at step 1"):
        again.train()


def test_half_the_bits_lose_what_all_of_them_lose(make: Make) -> None:
    settings = (*LIGHT, "weights.gram=1.0", "weights.surface=1.0", "adversary.objective=wasserstein-gp")
    half, full = make(*settings, "precision=bf16", run="half"), make(*settings, run="full")
    a, b = half.learn(half.batches.at(0)), full.learn(full.batches.at(0))
    assert a == pytest.approx(b, rel=0.1, abs=0.02)
    assert all(weight.dtype == torch.float32 for weight in half.system.forward.generator.parameters())
    with pytest.raises(RecipeError, match=r"needs a GPU; allowed on a CPU are"):
        make(*settings, "precision=fp16")


SCRIPT = """
import sys
from pathlib import Path

from training.recipe_loader import read_recipe
from training.setup import open_fabric
from training.trainer import Trainer

file, run, processes, *settings = sys.argv[1:]
recipe = read_recipe(Path(file), settings=settings)
trainer = Trainer(recipe, Path(run), open_fabric(recipe, "cpu", int(processes)))
trainer.train(lambda progress: print("step", progress.step, flush=True), save_every=0)
"""


def test_two_processes_learn_what_one_learns_from_the_whole_batch(
    make: Make, recipe_file: Path, tmp_path: Path
) -> None:
    """Data parallel over gloo: means over the parts of a batch are means over the batch."""
    sgd = ("optimizer.name=sgd", "optimizer.generator_rate=0.01", "optimizer.discriminator_rate=0.01")
    settings = (*LIGHT, "adversary.objective=least-squares", *sgd)
    make(*settings, run="one").train()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    line = [sys.executable, str(script), str(recipe_file), str(tmp_path / "two"), "2", *settings]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    one, two = (load_file(tmp_path / run / "state.safetensors") for run in ("one", "two"))
    assert any("network:adversarial:" in key for key in one)
    for key, value in one.items():
        torch.testing.assert_close(two[key], value, atol=1e-5, rtol=0)


def test_a_killed_run_goes_on_from_its_last_save(make: Make, recipe_file: Path, tmp_path: Path) -> None:
    settings = (*LIGHT, "steps=1000")
    line = [sys.executable, "-c", SCRIPT, str(recipe_file), str(tmp_path / "run"), "1", *settings]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for said in process.stdout:
            if said == "step 3\n":
                process.send_signal(signal.SIGKILL)
                break
        process.wait(240)
    trainer = make(*settings)
    trainer.resume()
    assert trainer.step >= 2
    assert math.isfinite(trainer.learn(trainer.batches.at(trainer.step))["total"])


def test_a_batch_is_shared_evenly_or_not_at_all(recipe_file: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    line = [sys.executable, str(script), str(recipe_file), str(tmp_path / "run"), "2", *LIGHT, "batch=3"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode != 0
    assert "batch = 3; allowed for 2 devices is a multiple of 2" in done.stderr


def test_a_picture_that_cannot_be_read_costs_nothing_that_was_learned(
    make: Make, tmp_path: Path, picture_folders: Path
) -> None:
    photos = Path(shutil.copytree(picture_folders / "photos", tmp_path / "photos"))
    trainer = make(*LIGHT, f"data.source={photos}", "steps=50")

    def spoil(progress: TrainingProgress) -> None:
        if progress.step == 2:
            for path in photos.iterdir():
                path.write_text("spoilt")

    with pytest.raises(StreamtoonError, match="cannot decode this image"):
        trainer.train(spoil)
    again = make(*LIGHT, f"data.source={photos}", "steps=50")
    again.resume()
    assert again.step == trainer.step >= 2


def test_curves_hold_every_step_and_a_penalty_its_own(make: Make, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told: list[dict[str, float]] = []
    make(*LIGHT, "adversary.objective=wasserstein-gp").train(lambda progress: told.append(progress.losses))
    events = EventAccumulator(str(tmp_path / "run" / "logs"))
    events.Reload()
    (point,) = events.Scalars("adversarial penalty")
    assert point.step == 4
    assert point.value == pytest.approx(np.mean([losses["adversarial penalty"] for losses in told]), rel=1e-5)


def test_moments_come_back_laid_out_as_their_weights(make: Make) -> None:
    trainer = make(*LIGHT)
    trainer.learn(trainer.batches.at(0))
    trainer.save({})
    again = make(*LIGHT)
    again.resume()
    pairs = zip(trainer.system.optimizers().values(), again.system.optimizers().values(), strict=True)
    for before, after in pairs:
        then, now = before.state_dict()["state"], after.state_dict()["state"]
        assert then.keys() == now.keys()
        assert all(then[at]["exp_avg"].stride() == now[at]["exp_avg"].stride() for at in then)


def test_the_strip_lives_with_another_number_of_photos(
    make: Make, tmp_path: Path, picture_folders: Path
) -> None:
    make(*LIGHT).train()
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(picture_folders / "photos" / "0.png", few)
    longer = make(*LIGHT, "steps=6", f"data.show={few}")
    longer.resume()
    longer.train()
    strip = cv2.imread(str(tmp_path / "run" / "samples" / "strip.webp"))
    assert strip is not None and strip.shape[1] == 256


def test_saving_is_by_the_clock(make: Make, tmp_path: Path) -> None:
    trainer = make(*LIGHT)
    stamps = []

    def look(progress: TrainingProgress) -> None:
        stamps.append((tmp_path / "run" / "state.safetensors").exists())
        time.sleep(0.01)

    trainer.train(look, save_every=1e-3)
    assert stamps == [False, True, True, True]
