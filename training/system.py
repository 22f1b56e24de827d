"""A recipe's networks at work: one way of translation or two, and one step of everything that learns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from engines.generators import create
from engines.vgg import VGG
from training.adversary import Adversary
from training.data.batches import Batch
from training.optimizers import average_gradients, make_optimizer, placed, rate_share, set_rate
from training.recipe import RETURNS, Recipe, Weights
from training.terms import BOTH_WAYS, TERMS, Scene


@dataclass(frozen=True)
class Moment:
    """Where in a run a step is."""

    step: int
    """From 0."""
    steps: int
    """Of the whole run."""
    phase_step: int
    """Of the step's own phase, from 0."""
    phase_steps: int
    weights: Weights
    """That phase's."""
    draw: torch.Generator
    """The chance of this step, a function of the recipe's seed and the step alone."""

    @property
    def progress(self) -> float:
        """What part of the phase is done, 0 to 1."""
        return self.phase_step / max(1, self.phase_steps - 1)


class Way:
    """One way of translation: a generator, its average over the steps, and who judges what it makes."""

    def __init__(self, recipe: Recipe, fabric: Fabric, views: list[str], vgg: VGG | None) -> None:
        self.generator = placed(create(recipe.generator), fabric.device)
        self.average = placed(create(recipe.generator), fabric.device).requires_grad_(False).eval()
        self.average.load_state_dict(self.generator.state_dict())
        self.adversaries = {view: Adversary(view, recipe, fabric, vgg) for view in views}

    @torch.no_grad()
    def remember(self, decay: float) -> None:
        """Draws the average towards the generator as it is now."""
        for mean, value in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for kept, buffer in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            kept.copy_(buffer)

    def networks(self, prefix: str) -> dict[str, nn.Module]:
        """Everything that has weights, by name."""
        judges = {f"{prefix}{name}": each.network for name, each in self.adversaries.items()}
        return {f"{prefix}generator": self.generator, f"{prefix}average": self.average, **judges}


class System:
    """The networks of a recipe and how they learn.

    The way there goes from source to target. Recipes with cycles have a way back, with a generator and a
    discriminator of its own. `looks` is VGG for terms on features, `judges` VGG-16 for discriminators that
    look at features, `teacher` a trained generator; each may be None where the recipe needs none.
    """

    def __init__(
        self,
        recipe: Recipe,
        fabric: Fabric,
        looks: VGG | None,
        judges: VGG | None,
        teacher: nn.Module | None = None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self._recipe, self._fabric, self._looks, self._teacher = recipe, fabric, looks, teacher
        views = recipe.weights.judges()
        self.there = Way(recipe, fabric, views, judges)
        returns = recipe.terms() & RETURNS
        self.back = Way(recipe, fabric, [v for v in views if v in BOTH_WAYS], judges) if returns else None
        self._ways = [self.there] if self.back is None else [self.there, self.back]
        # The generators of both ways in one: they share an optimizer.
        self._generators = nn.ModuleList([way.generator for way in self._ways])
        rate = recipe.optimizer.generator_rate
        self._optimizer = make_optimizer(recipe.optimizer, self._generators, rate, fabric)

    def networks(self) -> dict[str, nn.Module]:
        """Everything that has weights, by name."""
        back = self.back.networks("back/") if self.back else {}
        return {**self.there.networks(""), **back}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Every optimizer, by name."""
        return {
            "generators": self._optimizer,
            **{name: a.optimizer for name, a in self.adversaries().items()},
        }

    def adversaries(self) -> dict[str, Adversary]:
        """Every adversary, by name."""
        back = self.back.adversaries if self.back else {}
        return {**self.there.adversaries, **{f"back/{name}": each for name, each in back.items()}}

    def step(self, batch: Batch, now: Moment) -> dict[str, Tensor]:
        """One step of every discriminator that the phase's weights ask for, then one of the generators.

        Gives the value of every term without its weight, `total` with the weights, and for every
        discriminator its own loss under `NAME discriminator` and, where there is one, its `NAME penalty`; the
        names of the way back begin with `back/`.
        """
        self._set_rates(now)
        with self._fabric.autocast():
            scenes = self._scenes(batch, now)
            values = self._discriminate(scenes, batch, now)
            total = torch.zeros((), device=self._fabric.device)
            for prefix, scene in scenes.items():
                for name in TERMS:
                    if name not in now.weights.used() or (prefix and name not in BOTH_WAYS):
                        continue
                    value = TERMS[name](scene)
                    values[prefix + name] = value.detach()
                    total = total + getattr(now.weights, name).at(now.progress) * value
        values["total"] = total.detach()
        self._optimizer.zero_grad(set_to_none=True)
        self._fabric.backward(total)
        average_gradients(self._fabric, self._generators)
        values["gradient"] = self._clip()
        self._optimizer.step()
        # Averages over young weights would remember the start for a thousand steps.
        decay = min(self._recipe.ema, (1 + now.step) / (10 + now.step))
        for way in self._ways:
            way.remember(decay)
        return values

    def _scenes(self, batch: Batch, now: Moment) -> dict[str, Scene]:
        used = now.weights.used()
        back, whole = self.back, "adversarial"

        def judged(way: Way) -> dict[str, Adversary]:
            return {name: way.adversaries[name] for name in now.weights.judges() if name in way.adversaries}

        there = Scene(
            batch.source, batch.target, self.there.generator, now.draw,
            back.generator if back else None, judged(self.there),
            back.adversaries.get(whole) if back else None,
            self._looks, self._recipe.features, batch.abstraction, self._recipe.colour_blocks,
            self._teacher,
        )  # fmt: skip
        if back is None or not used & BOTH_WAYS:
            return {"": there}
        returning = Scene(
            batch.target, batch.source, back.generator, now.draw,
            self.there.generator, judged(back), self.there.adversaries.get(whole),
        )  # fmt: skip
        return {"": there, "back/": returning}

    def _discriminate(self, scenes: dict[str, Scene], batch: Batch, now: Moment) -> dict[str, Tensor]:
        values = {}
        for prefix, scene in scenes.items():
            for name, adversary in scene.adversaries.items():
                smoothed = None if prefix else batch.smoothed
                for kind, loss in adversary.learn(scene.trials[name], now.draw, smoothed).items():
                    values[f"{prefix}{name} {kind}"] = loss
        return values

    def _clip(self) -> Tensor:
        """The norm of the generators' gradient, which is then cut to the recipe's limit."""
        limit = self._recipe.optimizer.clip_gradients or float("inf")
        norm = self._fabric.clip_gradients(
            self._generators, self._optimizer, max_norm=limit, error_if_nonfinite=False
        )
        assert norm is not None
        return norm.detach()

    def _set_rates(self, now: Moment) -> None:
        settings = self._recipe.optimizer
        share = rate_share(settings, now.step, now.steps)
        set_rate(self._optimizer, settings.generator_rate * share)
        share = rate_share(settings, now.phase_step, now.phase_steps)
        for adversary in self.adversaries().values():
            set_rate(adversary.optimizer, settings.discriminator_rate * share)
