"""The training loop: alternating discriminator and generator steps from a recipe."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engines.errors import StreamtoonError
from engines.generators import create
from training.data.pictures import Batch, Batches
from training.data.structure import region_means, superpixels
from training.discriminators.patch import PatchDiscriminator
from training.discriminators.vgg_heads import LAYERS, FeatureHeads
from training.losses.adversarial import hinge_discriminator, hinge_generator
from training.losses.pixels import half, steps_apart, total_variation, yuv_colour
from training.losses.surface import draw_colour_mix, draw_grey_weights, mix_colours, random_grey, surface
from training.preview import before_after, write_picture
from training.recipe import Recipe
from training.vgg import VGG16

log = logging.getLogger(__name__)


Network = TypeVar("Network", bound=nn.Module)


def _placed(network: Network, device: torch.device) -> Network:
    """On the device, channels last: what convolutions are fastest in, on CPUs and GPUs."""
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class Critic:
    """One discriminator and what it looks through: the surface or the texture of a picture."""

    def __init__(self, recipe: Recipe, vgg: VGG16, device: torch.device) -> None:
        self._vgg = vgg if recipe.discriminator == "vgg-heads" else None
        network: nn.Module = FeatureHeads() if self._vgg else PatchDiscriminator()
        self.network = _placed(network, device)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=recipe.discriminator_rate, betas=recipe.betas
        )

    def _see(self, picture: Tensor) -> list[Tensor] | Tensor:
        return self._vgg(picture, LAYERS) if self._vgg else picture

    def judge(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Learns from a batch, then judges it: the generator's hinge loss and its own.

        The features of `fake` are computed once and serve both: detached here, with gradient there.
        """
        with torch.no_grad():
            seen_real = self._see(real)
        seen_fake = self._see(fake)
        detached = [f.detach() for f in seen_fake] if isinstance(seen_fake, list) else seen_fake.detach()
        own = hinge_discriminator(self.network(seen_real), self.network(detached))
        self.optimizer.zero_grad(set_to_none=True)
        own.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.network.requires_grad_(False)
        verdict = hinge_generator(self.network(seen_fake))
        self.network.requires_grad_(True)
        return verdict, own.detach()


class Trainer:
    """A recipe at work. Its run folder keeps the networks; another run can set out from them."""

    def __init__(self, recipe: Recipe, run: Path, vgg_weights: Path, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.run_folder, self.device = recipe, run, torch.device(device)
        run.mkdir(parents=True, exist_ok=True)
        abstractions = run.parent / "abstractions" if recipe.weights.abstraction else None
        self._batches = Batches(
            Path(recipe.data.photos), Path(recipe.data.cartoons), abstractions,
            batch=recipe.batch, crop=recipe.data.crop, smallest=recipe.data.smallest, seed=recipe.seed,
        )  # fmt: skip
        self.generator = _placed(create(recipe.generator), self.device)
        self.average = create(recipe.generator).to(self.device).requires_grad_(False)
        self.average.load_state_dict(self.generator.state_dict())
        self._optimizer = torch.optim.Adam(
            self.generator.parameters(), lr=recipe.generator_rate, betas=recipe.betas
        )
        self._vgg = _placed(VGG16(vgg_weights), self.device)
        # Frozen weights would be cast anew in every pass under autocast.
        self._vgg.convolutions.to(torch.bfloat16)
        weights = recipe.weights
        self._surface = Critic(recipe, self._vgg, self.device) if weights.surface else None
        self._texture = Critic(recipe, self._vgg, self.device) if weights.texture else None
        self.step = 0

    def _losses(self, batch: Batch) -> dict[str, tuple[float, Tensor]]:
        """Every term that has a weight, as (weight, value); in the warm-up only those on pixels."""
        weights, terms = self.recipe.weights, dict[str, tuple[float, Tensor]]()
        draw = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step)
        photos, cartoons = batch.photos.to(self.device), batch.cartoons.to(self.device)
        abstract = None if batch.abstractions is None else batch.abstractions.to(self.device)
        output = self.generator(photos).float()
        seeing = self.step >= self.recipe.warm_up
        if self._surface and seeing:
            mixes = draw_colour_mix(len(photos), draw).to(self.device)
            real = surface(mix_colours(cartoons, mixes))
            fake = surface(mix_colours(output, mixes))
            verdict, own = self._surface.judge(real, fake)
            terms["surface"] = (weights.surface, verdict)
            terms["surface critic"] = (0.0, own)
        if self._texture and seeing:
            grey = draw_grey_weights(len(photos), draw).to(self.device)
            verdict, own = self._texture.judge(random_grey(cartoons, grey), random_grey(output, grey))
            terms["texture"] = (weights.texture, verdict)
            terms["texture critic"] = (0.0, own)
        if weights.structure and seeing:
            target = self._vgg(superpixel_abstraction(output), ("conv4_3",), activated=False)[0]
            seen = self._vgg(output, ("conv4_3",), activated=False)[0]
            terms["structure"] = (weights.structure, F.l1_loss(seen.float(), target.float()))
        if abstract is not None:
            distance = F.l1_loss(output, abstract) + steps_apart(output, abstract)
            terms["abstraction"] = (weights.abstraction, distance)
        if weights.content and seeing:
            # At half size: content is what the picture shows, and a quarter of the work shows it too.
            with torch.no_grad():
                target = self._vgg(half(photos), ("conv4_3",), activated=False)[0]
            seen = self._vgg(half(output), ("conv4_3",), activated=False)[0]
            terms["content"] = (weights.content, F.l1_loss(seen.float(), target.float()))
        if weights.colour:
            wanted = photos if abstract is None else abstract
            terms["colour"] = (weights.colour, yuv_colour(half(half(output)), half(half(wanted))))
        if weights.total_variation:
            terms["total variation"] = (weights.total_variation, total_variation(output))
        if weights.scale:
            small = self.generator(half(photos)).float()
            terms["scale"] = (weights.scale, F.l1_loss(small, half(output)))
        return terms

    def _set_rates(self) -> None:
        """Bold strokes first, a steady hand at the end.

        The climb is for Adam, whose first steps are as long as the rate however small the gradient:
        they would throw a generator off that starts as the identity.
        """
        if self.recipe.schedule == "constant":
            return
        share = 0.55 + 0.45 * math.cos(math.pi * self.step / self.recipe.steps)
        share *= min(1.0, (self.step + 1) / 100)
        optimizers = [(self._optimizer, self.recipe.generator_rate)]
        optimizers += [
            (critic.optimizer, self.recipe.discriminator_rate)
            for critic in (self._surface, self._texture)
            if critic
        ]
        for optimizer, rate in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * share

    def train_step(self, batch: Batch) -> dict[str, float]:
        """One step of every discriminator and of the generator; the unweighted value of every term."""
        self._set_rates()
        with torch.autocast(self.device.type, torch.bfloat16):
            terms = self._losses(batch)
        total = sum((weight * value for weight, value in terms.values() if weight), torch.zeros(()))
        values = {name: float(value.detach()) for name, (_, value) in terms.items()}
        if not math.isfinite(float(total.detach())):
            raise StreamtoonError(
                f"the loss is no longer a number at step {self.step}; "
                f"the last good state is in {self.run_folder}"
            )
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
        self._optimizer.step()
        # Averages over young weights would remember the start for a thousand steps.
        decay = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        self.step += 1
        return values

    def train(self, show: Path, save_every: int = 250) -> None:
        """Runs to the recipe's last step; keeps weights and a strip of the pictures in `show` on the way."""
        started, history = time.monotonic(), list[dict[str, float]]()
        for batch in self._batches.from_step(self.step):
            if self.step >= self.recipe.steps:
                break
            history.append(self.train_step(batch))
            if self.step % 25 == 0:
                means = {
                    name: float(np.mean([h[name] for h in history if name in h])) for name in history[-1]
                }
                rate = len(history) / (time.monotonic() - started)
                text = " ".join(f"{name} {value:.4f}" for name, value in means.items())
                log.info("step %d (%.2f/s) %s", self.step, rate, text)
                started, history = time.monotonic(), []
            if self.step % save_every == 0 or self.step == self.recipe.steps:
                self.save()
                picture = before_after(self.average, show, count=8, height=288)
                write_picture(self.run_folder / f"strip-{self.step:06d}.png", picture)

    def save(self) -> None:
        """Writes the averaged weights and the state that `start_from` takes, each whole or not at all."""
        states = {"average": self.average.state_dict(), "generator": self.generator.state_dict()}
        for name, critic in (("surface", self._surface), ("texture", self._texture)):
            if critic:
                states[name] = critic.network.state_dict()
        flat = {
            f"{part}/{key}": value.contiguous()
            for part, state in states.items()
            for key, value in state.items()
        }
        partial = self.run_folder / "state.part"
        save_file(flat, partial, {"step": str(self.step), "recipe": self.recipe.name})
        partial.replace(self.run_folder / "state.safetensors")
        partial = self.run_folder / "average.part"
        save_file({key: value.contiguous() for key, value in self.average.state_dict().items()}, partial)
        partial.replace(self.run_folder / f"average-{self.step:06d}.safetensors")

    def start_from(self, state: Path) -> None:
        """Takes the networks of another run's state: a style refined under another recipe."""
        flat = load_file(state)
        parts: dict[str, nn.Module] = {"average": self.average, "generator": self.generator}
        for name, critic in (("surface", self._surface), ("texture", self._texture)):
            if critic:
                parts[name] = critic.network
        for part, network in parts.items():
            own = {key.removeprefix(part + "/"): v for key, v in flat.items() if key.startswith(part + "/")}
            if own:
                network.load_state_dict(own)


@torch.no_grad()
def superpixel_abstraction(output: Tensor) -> Tensor:
    """F_sr: every picture of the batch with its own superpixels painted in their mean colours."""
    pictures = ((output.clamp(-1, 1) + 1) * 127.5).byte().permute(0, 2, 3, 1).cpu().numpy()
    painted = [region_means(picture.astype(np.float32), superpixels(picture)) for picture in pictures]
    batch = torch.from_numpy(np.stack(painted)).permute(0, 3, 1, 2) / 127.5 - 1
    return batch.to(output.device).contiguous(memory_format=torch.channels_last)
