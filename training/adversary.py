"""An adversary: one discriminator, how it looks at pictures, its optimizer and the game it plays.

A step asks it three things in this order: to look at a batch (`Trial`), to learn from what it saw, and to
judge the same fakes for the generator. Features of the fakes are computed once and serve both: detached for
learning, with their gradient for the verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from engines.vgg import VGG
from training.discriminators import create
from training.discriminators.base import PictureDiscriminator
from training.history import History
from training.losses.adversarial import OBJECTIVES, clip_weights, gradient_penalty, match, soft_labels
from training.losses.surface import draw_colour_mix, draw_grey_weights, mix_colours, random_grey, surface
from training.optimizers import average_gradients, make_optimizer, placed
from training.recipe import Recipe

View = Callable[[Tensor], Tensor]
"""What is done to a picture before a discriminator sees it."""


@dataclass(frozen=True)
class Trial:
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
        self.network = placed(create(recipe.adversary.discriminator), fabric.device)
        self.optimizer = make_optimizer(
            recipe.optimizer, self.network, recipe.optimizer.discriminator_rate, fabric
        )
        self.history = History(recipe.adversary.history)

    def look(self, real: Tensor, fake: Tensor, draw: torch.Generator) -> Trial:
        """Sees drawings and fakes, both N x 3 x H x W in [-1, 1], in the same light."""
        view = self._view(len(real), draw)
        with torch.no_grad():
            seen = self._see(view(real))
        return Trial(view, seen, self._see(view(fake)), fake.detach())

    def learn(self, trial: Trial, draw: torch.Generator, smoothed: Tensor | None = None) -> dict[str, Tensor]:
        """One step of the discriminator, and what it lost: `discriminator`, and `penalty` without its weight.

        `smoothed`: targets with smoothed edges, which are fakes too.
        """
        settings, count = self._settings, len(trial.picture)
        labels: tuple[float | Tensor, float | Tensor] = (1.0, 0.0)
        if settings.soft_labels:
            labels = soft_labels(count, draw)
        fake = [seen.detach() for seen in trial.fake]
        if settings.history:
            with torch.no_grad():
                fake = self._see(trial.view(self.history.exchange(trial.picture, draw)))
        loss = self._objective.discriminator(self.network(trial.real), self.network(fake), labels)
        if settings.edges and smoothed is not None:
            with torch.no_grad():
                seen = self._see(trial.view(smoothed))
            loss = loss + settings.edges * self._objective.against(self.network(seen), labels[1])
        total, lost = loss, {"discriminator": loss.detach()}
        if settings.objective == "wasserstein-gp":
            mix = torch.rand(count, generator=draw)
            penalty = gradient_penalty(self.network, trial.real, fake, mix)
            total = loss + settings.gradient_penalty * penalty
            lost["penalty"] = penalty.detach()
        self.optimizer.zero_grad(set_to_none=True)
        self._fabric.backward(total)
        average_gradients(self._fabric, self.network)
        self.optimizer.step()
        if settings.objective == "wasserstein-clip":
            clip_weights(self.network, settings.clip)
        return lost

    def verdict(self, trial: Trial) -> Tensor:
        """The generator's loss for these fakes."""
        with frozen(self.network):
            return self._objective.generator(self.network(trial.fake))

    def match(self, trial: Trial) -> Tensor:
        """How far the fakes' scores are from those of the drawings that they should have become.

        Of the vanilla objective these are probabilities, as in the paper, which have a bound.
        """
        with frozen(self.network):
            with torch.no_grad():
                wanted = self.network(trial.real)
            found = self.network(trial.fake)
            if self._settings.objective == "vanilla":
                wanted, found = [w.sigmoid() for w in wanted], [f.sigmoid() for f in found]
            return match(wanted, found)

    def middle(self, picture: Tensor) -> Tensor:
        """The features of the discriminator's middle layer, with the picture's gradient alone."""
        assert isinstance(self.network, PictureDiscriminator)  # which recipes see to
        with frozen(self.network):
            return self.network.middle([picture])

    def _see(self, picture: Tensor) -> list[Tensor]:
        layers = self.network.layers
        return self._vgg(picture, layers) if layers and self._vgg else [picture]

    def _view(self, count: int, draw: torch.Generator) -> View:
        """The view, with its chance drawn: every picture that it is then used on is seen in one light."""
        device = self._fabric.device
        if self._name == "texture":
            grey = draw_grey_weights(count, draw).to(device)
            return lambda picture: random_grey(picture, grey)
        if self._name == "surface":
            if not self._settings.colour_blind:
                return surface
            mixes = draw_colour_mix(count, draw).to(device)
            return lambda picture: surface(mix_colours(picture, mixes))
        return lambda picture: picture


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Gradients pass through the network within this block and stay out of its weights.

    It also keeps autocast from taking the weights that it cast before the network's step: it remembers only
    those that are learned.
    """
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
