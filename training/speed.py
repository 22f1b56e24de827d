"""Compare the trainer's speed with a plain loop of the same networks: `python -m training.speed --help`.

Both learn from the same batches with the same losses, a least-squares game and content on VGG-16. They run in
turns of some steps, so that other load on the machine affects both equally. Image decoding is timed
separately: it must take less time than the networks.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from rich.console import Console
from torch import Tensor, nn

from engines.generators import create
from engines.pretrained.vgg import VGG
from training.data.field_batches import FieldBatches
from training.data.loader import Batch, BatchLoader
from training.discriminators import create as create_discriminator
from training.recipe import AdversarySettings, Card, Data, FeatureSettings, Ramp, Recipe, Weights
from training.setup import open_fabric
from training.trainer import Trainer


def plain_loop(recipe: Recipe, vgg16: Path, device: torch.device) -> Callable[[Batch], None]:
    """Return a function that takes one step, written without a trainer."""
    last = torch.channels_last
    generator = create(recipe.generator).to(device, memory_format=last)  # type: ignore[call-overload]
    discriminator = create_discriminator(recipe.adversary.discriminator).to(device, memory_format=last)  # type: ignore[call-overload]
    vgg = VGG("vgg16", vgg16, recipe.features.layer).to(device, memory_format=last)  # type: ignore[call-overload]
    vgg.convolutions.to(torch.bfloat16)
    ours = torch.optim.Adam(generator.parameters(), 1.5e-4, (0.5, 0.99))
    theirs = torch.optim.Adam(discriminator.parameters(), 1.5e-4, (0.5, 0.99))
    decay = torch.optim.swa_utils.get_ema_multi_avg_fn(0.999)  # type: ignore[no-untyped-call]
    average = torch.optim.swa_utils.AveragedModel(generator, multi_avg_fn=decay)

    def look(image: Tensor) -> Tensor:
        features: Tensor = vgg(image, (recipe.features.layer,), activated=False)[0]
        return features.float()

    def step(batch: Batch) -> None:
        with torch.autocast(device.type, torch.bfloat16):
            fake = generator(batch.source).float()
            real_scores, fake_scores = discriminator([batch.target])[0], discriminator([fake.detach()])[0]
            own = ((real_scores.float() - 1) ** 2).mean() / 2 + (fake_scores.float() ** 2).mean() / 2
            theirs.zero_grad()
            own.backward()
            theirs.step()
            discriminator.requires_grad_(False)
            loss = ((discriminator([fake])[0].float() - 1) ** 2).mean() / 2
            discriminator.requires_grad_(True)
            with torch.no_grad():
                wanted = look(batch.source)
            loss = loss + F.l1_loss(look(fake), wanted) / wanted.abs().mean()
        ours.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
        ours.step()
        average.update_parameters(generator)
        float(loss.detach())  # a loop that prints its loss waits for it

    return step


def main(
    source: Annotated[Path, typer.Option(help="Folder of photographs.")],
    target: Annotated[Path, typer.Option(help="Folder of drawings.")],
    vgg16: Annotated[Path, typer.Option(help="VGG-16's weights.")],
    generator: Annotated[str, typer.Option(help="A generator's name.")] = "unet",
    batch: Annotated[int, typer.Option(help="Images in a step.")] = 4,
    crop: Annotated[int, typer.Option(help="Side of the crops in pixels.")] = 192,
    turns: Annotated[int, typer.Option(help="Number of turns.")] = 6,
    steps: Annotated[int, typer.Option(help="Steps in a turn.")] = 5,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Print steps per second of the trainer, of a plain loop, and of image decoding alone."""
    one = Ramp(1.0, 1.0)
    recipe = Recipe(
        "speed",
        Data(str(source), str(target), crop=crop),
        Weights(adversarial=one, content=one),
        Card("Speed", "", "none"),
        generator=generator,
        steps=10**6,
        batch=batch,
        features=FeatureSettings("vgg16", "conv4_3"),
        adversary=AdversarySettings("white-box", "least-squares"),
    )
    with tempfile.TemporaryDirectory() as run:
        trainer = Trainer(recipe, Path(run), open_fabric(recipe, device), {"vgg16": vgg16})
    plain = plain_loop(recipe, vgg16, trainer.fabric.device)
    batches = [part.to(trainer.fabric.device) for part in islice(trainer.batches.from_step(0), 2)]
    rivals: dict[str, Callable[[Batch], object]] = {"trainer": trainer.learn, "plain loop": plain}
    rates: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(turns + 1):
        for name, learn in rivals.items():
            began = time.monotonic()
            for at in range(steps):
                learn(batches[at % len(batches)])
            if turn:  # the first one warms up
                rates[name].append(steps / (time.monotonic() - began))
    rates["images alone"] = [_decoding(trainer.batches, steps) for _ in range(turns)]
    console = Console()
    for name, measured in rates.items():
        low, high = min(measured), max(measured)
        console.print(f"{name}: {statistics.median(measured):.2f} steps/s ({low:.2f} to {high:.2f})")
    ratio = statistics.median(a / b for a, b in zip(rates["trainer"], rates["plain loop"], strict=True))
    console.print(f"trainer / plain loop, turn by turn: {ratio:.3f}")


def _decoding(batches: BatchLoader | FieldBatches, steps: int) -> float:
    began = time.monotonic()
    for _ in islice(batches.from_step(1000), steps):
        pass
    return steps / (time.monotonic() - began)


if __name__ == "__main__":
    typer.run(main)
