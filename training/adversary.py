"""An adversary: a discriminator with its view of the images, its optimizer and its objective.

In a step it first sees a batch (`DiscriminatorBatch`), then learns from it, then scores the same fakes for
the generator. The features of the fakes are computed once for both: without gradient for learning, with
gradient for the generator's loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from engines.pretrained.vgg import VGG
from training.discriminators import create
from training.discriminators.base import ImageDiscriminator
from training.image_pool import ImagePool
from training.losses.adversarial import OBJECTIVES, clip_weights, gradient_penalty, match, soft_labels
from training.losses.surface import draw_color_mix, draw_grey_weights, mix_colors, random_grey, surface
from training.optimizers import average_gradients, make_optimizer, to_device
from training.ranks import StepRandom, gather_batch
from training.recipe import Recipe

View = Callable[[Tensor], Tensor]
"""The transformation of an image before a discriminator sees it."""


@dataclass(frozen=True)
class DiscriminatorBatch:
    """A batch as one adversary sees it."""

    view: View
    real: list[Tensor]
    """Without gradient."""
    fake: list[Tensor]
    """With the generator's gradient."""
    picture: Tensor
    """The fakes themselves, detached."""


class Adversary:
    """The discriminator of one view: `adversarial`, `surface` or `texture`."""

    def __init__(self, view: str, recipe: Recipe, fabric: Fabric, vgg: VGG | None) -> None:
        self._name, self._settings, self._fabric, self._vgg = view, recipe.adversary, fabric, vgg
        self._objective = OBJECTIVES[recipe.adversary.objective]
        self.network = to_device(create(recipe.adversary.discriminator), fabric.device)
        self.optimizer = make_optimizer(
            recipe.optimizer, self.network, recipe.optimizer.discriminator_rate, fabric
        )
        self.history = ImagePool(recipe.adversary.history)

    def see(self, real: Tensor, fake: Tensor, rng: StepRandom) -> DiscriminatorBatch:
        """Return the views of drawings and fakes, both N x 3 x H x W in [-1, 1].

        Both are transformed with the same random numbers.
        """
        view = self._view(len(real), rng)
        with torch.no_grad():
            seen = self._see(view(real))
        return DiscriminatorBatch(view, seen, self._see(view(fake)), fake.detach())

    def learn(
        self, batch: DiscriminatorBatch, rng: StepRandom, smoothed: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Take one step with the discriminator. Returns `discriminator`, its loss, and `penalty`, unweighted.

        `smoothed` are targets with smoothed edges, which count as fakes.
        """
        settings, count = self._settings, len(batch.picture)
        labels: tuple[float | Tensor, float | Tensor] = (1.0, 0.0)
        if settings.soft_labels:
            drawn = rng.of_items(lambda n, dice: torch.cat(soft_labels(n, dice), 1), count)
            labels = drawn[:, :1], drawn[:, 1:]
        fake = [seen.detach() for seen in batch.fake]
        if settings.history:
            with torch.no_grad():
                # Every rank has the pool of all: a run can resume with another number of ranks.
                shown = self.history.exchange(gather_batch(self._fabric, batch.picture), rng.generator)
                fake = self._see(batch.view(rng.own(shown)))
        loss = self._objective.discriminator(self.network(batch.real), self.network(fake), labels)
        if settings.edges and smoothed is not None:
            with torch.no_grad():
                seen = self._see(batch.view(smoothed))
            loss = loss + settings.edges * self._objective.against(self.network(seen), labels[1])
        total, lost = loss, {"discriminator": loss.detach()}
        if settings.objective == "wasserstein-gp":
            mix = rng.of_items(lambda n, dice: torch.rand(n, generator=dice), count)
            penalty = gradient_penalty(self.network, batch.real, fake, mix)
            total = loss + settings.gradient_penalty * penalty
            lost["penalty"] = penalty.detach()
        self.optimizer.zero_grad(set_to_none=True)
        self._fabric.backward(total)
        average_gradients(self._fabric, self.network)
        self.optimizer.step()
        if settings.objective == "wasserstein-clip":
            clip_weights(self.network, settings.clip)
        return lost

    def generator_loss(self, batch: DiscriminatorBatch) -> Tensor:
        """Return the generator's loss for these fakes."""
        with frozen(self.network):
            return self._objective.generator(self.network(batch.fake))

    def match(self, batch: DiscriminatorBatch) -> Tensor:
        """Return the distance between the scores of the fakes and the scores of their own targets.

        With the vanilla objective it compares probabilities, which are bounded, as in the paper.
        """
        with frozen(self.network):
            with torch.no_grad():
                wanted = self.network(batch.real)
            found = self.network(batch.fake)
            if self._settings.objective == "vanilla":
                wanted, found = [w.sigmoid() for w in wanted], [f.sigmoid() for f in found]
            return match(wanted, found)

    def middle_features(self, picture: Tensor) -> Tensor:
        """Return the features of the discriminator's middle layer. Gradients reach the image only."""
        assert isinstance(self.network, ImageDiscriminator)  # recipes are checked for this
        with frozen(self.network):
            return self.network.middle_features([picture])

    def _see(self, picture: Tensor) -> list[Tensor]:
        layers = self.network.layers
        return self._vgg(picture, layers) if layers and self._vgg else [picture]

    def _view(self, count: int, rng: StepRandom) -> View:
        """Make the view with its random choices: all images that it is applied to are changed alike."""
        device = self._fabric.device
        if self._name == "texture":
            grey = rng.of_items(draw_grey_weights, count).to(device)
            return lambda picture: random_grey(picture, grey)
        if self._name == "surface":
            if not self._settings.color_blind:
                return surface
            mixes = rng.of_items(draw_color_mix, count).to(device)
            return lambda picture: surface(mix_colors(picture, mixes))
        return lambda picture: picture


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients pass through the network in this block but keep them out of its weights.

    Autocast caches casts of learning weights only. Freezing therefore also keeps it from reusing casts from
    before the network's step.
    """
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
