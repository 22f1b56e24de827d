"""The networks of a recipe, in one direction or two, and one training step of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from engines.generators import create
from engines.pretrained.vgg import VGG
from training.adversary import Adversary
from training.data.loader import Batch
from training.loss_terms import CYCLE_TERMS, TERMS, LossContext
from training.losses.drawing import Drawing
from training.optimizers import average_gradients, make_optimizer, rate_share, set_rate, to_device
from training.ranks import StepRandom, mean_of_ranks
from training.recipe import BACKWARD_TERMS, Recipe, Weights


@dataclass(frozen=True)
class StepInfo:
    """The position of a step in the run."""

    step: int
    """Counted from 0."""
    steps: int
    """Steps of the whole run."""
    phase_step: int
    """Position in the step's own phase, counted from 0."""
    phase_steps: int
    weights: Weights
    """The weights of that phase."""
    rng: StepRandom
    """Random numbers of this step. They depend only on the recipe's random seed and the step."""

    @property
    def progress(self) -> float:
        """The completed share of the phase, 0 to 1."""
        return self.phase_step / max(1, self.phase_steps - 1)


class Direction:
    """One direction of translation: a generator, its averaged weights and its discriminators."""

    def __init__(self, recipe: Recipe, fabric: Fabric, views: list[str], vgg: VGG | None) -> None:
        self.generator = to_device(create(recipe.generator), fabric.device)
        self.average = to_device(create(recipe.generator), fabric.device).requires_grad_(False).eval()
        self.average.load_state_dict(self.generator.state_dict())
        self.adversaries = {view: Adversary(view, recipe, fabric, vgg) for view in views}

    @torch.no_grad()
    def update_ema(self, decay: float) -> None:
        """Move the averaged weights towards the generator's current weights."""
        for mean, value in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for kept, buffer in zip(self.average.buffers(), self.generator.buffers(), strict=True):
            kept.copy_(buffer)

    def networks(self, prefix: str) -> dict[str, nn.Module]:
        """Return all networks by name."""
        discriminators = {f"{prefix}{name}": each.network for name, each in self.adversaries.items()}
        return {f"{prefix}generator": self.generator, f"{prefix}average": self.average, **discriminators}


class TrainingSystem:
    """The networks of a recipe and their training step.

    The forward direction goes from source to target. Recipes with cycle terms also have a backward direction
    with its own generator and discriminator.

    Args:
        recipe: The recipe.
        fabric: The device, and the other processes.
        feature_vgg: VGG for the feature terms; None where the recipe has none.
        discriminator_vgg: VGG-16 for discriminators on features; None where the recipe has none.
        teacher: A trained generator; None where the recipe has none.
    """

    def __init__(
        self,
        recipe: Recipe,
        fabric: Fabric,
        feature_vgg: VGG | None,
        discriminator_vgg: VGG | None,
        teacher: nn.Module | None = None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self._recipe, self._fabric, self._feature_vgg, self._teacher = recipe, fabric, feature_vgg, teacher
        self._drawing = Drawing(recipe.abstraction) if recipe.makes_fields else None
        views = recipe.weights.discriminator_views()
        self.forward = Direction(recipe, fabric, views, discriminator_vgg)
        returns = recipe.terms() & BACKWARD_TERMS
        self.backward = (
            Direction(recipe, fabric, [v for v in views if v in CYCLE_TERMS], discriminator_vgg)
            if returns
            else None
        )
        self._directions = [self.forward] if self.backward is None else [self.forward, self.backward]
        # The generators of both directions share one optimizer.
        self._generators = nn.ModuleList([direction.generator for direction in self._directions])
        rate = recipe.optimizer.generator_rate
        self._optimizer = make_optimizer(recipe.optimizer, self._generators, rate, fabric)

    def networks(self) -> dict[str, nn.Module]:
        """Return all networks by name."""
        backward = self.backward.networks("back/") if self.backward else {}
        return {**self.forward.networks(""), **backward}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return every optimizer by name."""
        return {
            "generators": self._optimizer,
            **{name: a.optimizer for name, a in self.adversaries().items()},
        }

    def adversaries(self) -> dict[str, Adversary]:
        """Return every adversary by name."""
        backward = self.backward.adversaries if self.backward else {}
        return {**self.forward.adversaries, **{f"back/{name}": each for name, each in backward.items()}}

    def step(self, batch: Batch, info: StepInfo) -> dict[str, Tensor]:
        """Take one step with every discriminator that the phase uses, then one with the generators.

        Returns the unweighted value of every term, and `total` with the weights. For every discriminator
        there is its loss under `NAME discriminator` and, with a gradient penalty, `NAME penalty`. The names
        of the backward direction begin with `back/`.
        """
        self._set_rates(info)
        with self._fabric.autocast():
            contexts = self._contexts(batch, info)
            values = self._train_discriminators(contexts, batch, info)
            total = torch.zeros((), device=self._fabric.device)
            for prefix, context in contexts.items():
                for name in TERMS:
                    if name not in info.weights.used() or (prefix and name not in CYCLE_TERMS):
                        continue
                    value = TERMS[name](context)
                    values[prefix + name] = value.detach()
                    total = total + getattr(info.weights, name).at(info.progress) * value
        values["total"] = total.detach()
        self._optimizer.zero_grad(set_to_none=True)
        self._fabric.backward(total)
        average_gradients(self._fabric, self._generators)
        values["gradient"] = self._clip()
        self._optimizer.step()
        # A fixed decay would keep the random initial weights in the average for a thousand steps.
        decay = min(self._recipe.ema, (1 + info.step) / (10 + info.step))
        for direction in self._directions:
            direction.update_ema(decay)
        return values

    def _contexts(self, batch: Batch, info: StepInfo) -> dict[str, LossContext]:
        used = info.weights.used()
        backward, whole = self.backward, "adversarial"

        def judged(direction: Direction) -> dict[str, Adversary]:
            return {
                name: direction.adversaries[name]
                for name in info.weights.discriminator_views()
                if name in direction.adversaries
            }

        forward_context = LossContext(
            batch.source, batch.target, self.forward.generator, info.rng,
            backward.generator if backward else None, judged(self.forward),
            backward.adversaries.get(whole) if backward else None,
            self._feature_vgg, self._recipe.features, batch.abstraction, self._recipe.color_blocks,
            self._teacher, self._drawing, partial(mean_of_ranks, self._fabric),
        )  # fmt: skip
        if backward is None or not used & CYCLE_TERMS:
            return {"": forward_context}
        backward_context = LossContext(
            batch.target, batch.source, backward.generator, info.rng,
            self.forward.generator, judged(backward), self.forward.adversaries.get(whole),
        )  # fmt: skip
        return {"": forward_context, "back/": backward_context}

    def _train_discriminators(
        self, contexts: dict[str, LossContext], batch: Batch, info: StepInfo
    ) -> dict[str, Tensor]:
        values = {}
        for prefix, context in contexts.items():
            for name, adversary in context.adversaries.items():
                smoothed = None if prefix else batch.smoothed
                for kind, loss in adversary.learn(
                    context.discriminator_batches[name], info.rng, smoothed
                ).items():
                    values[f"{prefix}{name} {kind}"] = loss
        return values

    def _clip(self) -> Tensor:
        """Clip the generators' gradient to the recipe's limit and return its norm before clipping."""
        limit = self._recipe.optimizer.clip_gradients or float("inf")
        norm = self._fabric.clip_gradients(
            self._generators, self._optimizer, max_norm=limit, error_if_nonfinite=False
        )
        assert norm is not None
        return norm.detach()

    def _set_rates(self, info: StepInfo) -> None:
        settings = self._recipe.optimizer
        share = rate_share(settings, info.step, info.steps)
        set_rate(self._optimizer, settings.generator_rate * share)
        share = rate_share(settings, info.phase_step, info.phase_steps)
        for adversary in self.adversaries().values():
            set_rate(adversary.optimizer, settings.discriminator_rate * share)
