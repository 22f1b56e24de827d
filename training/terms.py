"""The terms of the generators' loss, by name. `training.recipe.Weights` says what each is for.

A `Scene` is one way of translation in one step: what was to be translated, what became of it, and the
networks that look at it. What a term asks of it is computed once, and only when a term asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.vgg import VGG
from training.adversary import Adversary, Trial
from training.data.structure import superpixel_abstraction
from training.losses.perceptual import distance, gram_distance
from training.losses.pixels import half, steps_apart, total_variation, yuv, yuv_colour
from training.recipe import Features

SHIFT = 3
"""Largest shift that `consistency` asks the cartoon to follow, pixels; no network's stride divides it."""
MARGIN = 32
"""What a shifted picture loses of its sides, pixels: a multiple of every network's size multiple."""
BORDER = 8
"""Pixels at a shifted picture's border that are not compared, for they see most of another surround."""
NOISE = 0.02
"""Standard deviation of the noise that `consistency` asks the cartoon to ignore, of the range [-1, 1]."""


@dataclass
class Scene:
    """One way of translation in one step; every picture is N x 3 x H x W in [-1, 1]."""

    source: Tensor
    target: Tensor
    generator: nn.Module
    draw: torch.Generator
    """The step's own chance."""
    returning: nn.Module | None = None
    """The generator of the other way."""
    adversaries: dict[str, Adversary] = field(default_factory=dict)
    at_home: Adversary | None = None
    """The discriminator of the source's kind."""
    vgg: VGG | None = None
    features: Features = field(default_factory=Features)
    abstraction: Tensor | None = None
    colour_blocks: int = 1
    teacher: nn.Module | None = None

    @cached_property
    def output(self) -> Tensor:
        """What the generator makes of the source."""
        with torch.enable_grad():  # also where a term asks for it first within a block without gradients
            return self.paint(self.source)

    @cached_property
    def cycled(self) -> Tensor:
        """The source, there and back."""
        assert self.returning is not None
        with torch.enable_grad():
            out: Tensor = self.returning(self.output).float()
        return out

    @cached_property
    def trials(self) -> dict[str, Trial]:
        """The output as each discriminator sees it."""
        return {
            name: each.look(self.target, self.output, self.draw) for name, each in self.adversaries.items()
        }

    def paint(self, picture: Tensor) -> Tensor:
        """What the generator makes of a picture, in fp32."""
        out: Tensor = self.generator(picture).float()
        return out

    def look(self, picture: Tensor) -> Tensor:
        """VGG's features of a picture at the recipe's layer, before its activation."""
        assert self.vgg is not None
        (features,) = self.vgg(picture, (self.features.layer,), activated=False)
        return cast(Tensor, features)


def _reconstruction(scene: Scene) -> Tensor:
    return F.l1_loss(scene.output, scene.source)


def _verdict(name: str) -> Callable[[Scene], Tensor]:
    return lambda scene: scene.adversaries[name].verdict(scene.trials[name])


def _match(scene: Scene) -> Tensor:
    return scene.adversaries["adversarial"].match(scene.trials["adversarial"])


def _structure(scene: Scene) -> Tensor:
    with torch.no_grad():
        target = scene.look(superpixel_abstraction(scene.output))
    return distance(scene.look(scene.output), target)


def _abstraction(scene: Scene) -> Tensor:
    assert scene.abstraction is not None
    return F.l1_loss(scene.output, scene.abstraction) + steps_apart(scene.output, scene.abstraction)


def _content(scene: Scene) -> Tensor:
    size = half if scene.features.half else _same
    with torch.no_grad():
        target = scene.look(size(scene.source))
    return distance(scene.look(size(scene.output)), target)


def _gram(scene: Scene) -> Tensor:
    with torch.no_grad():
        target = scene.look(_grey(scene.target))
    return gram_distance(scene.look(_grey(scene.output)), target)


def _colour(scene: Scene) -> Tensor:
    """In blocks, where the recipe says so: colours are meant then, not the strokes that carry them."""
    wanted = scene.source if scene.abstraction is None else scene.abstraction
    side = scene.colour_blocks
    return yuv_colour(F.avg_pool2d(scene.output, side), F.avg_pool2d(wanted, side))


def _total_variation(scene: Scene) -> Tensor:
    return total_variation(scene.output)


def _scale(scene: Scene) -> Tensor:
    return F.l1_loss(scene.paint(half(scene.source)), half(scene.output))


def _consistency(scene: Scene) -> Tensor:
    """The cartoon of a part of the picture, cut some pixels aside and with noise, against that part of it."""
    source, output = scene.source, scene.output
    down, right = (torch.randint(0, SHIFT + 1, (2,), generator=scene.draw)).tolist()
    height, width = source.shape[2] - MARGIN, source.shape[3] - MARGIN
    rows, columns = slice(down, down + height), slice(right, right + width)
    part = source[:, :, rows, columns]
    noise = torch.randn(part.shape, generator=scene.draw).to(part.device) * NOISE
    inside = slice(BORDER, -BORDER)
    return F.l1_loss(
        scene.paint(part + noise)[:, :, inside, inside], output[:, :, rows, columns][:, :, inside, inside]
    )


def _cycle(scene: Scene) -> Tensor:
    return F.l1_loss(scene.cycled, scene.source)


def _cycle_features(scene: Scene) -> Tensor:
    assert scene.at_home is not None
    with torch.no_grad():
        target = scene.at_home.middle(scene.source)
    return F.l1_loss(scene.at_home.middle(scene.cycled).float(), target.float())


def _identity(scene: Scene) -> Tensor:
    """Eq. 3 prints a norm; its mean square does not depend on the picture's size. Eq. 5 likewise."""
    return F.mse_loss(scene.paint(scene.target), scene.target)


def _paired(scene: Scene) -> Tensor:
    return F.mse_loss(scene.output, scene.target)


def _teacher(scene: Scene) -> Tensor:
    assert scene.teacher is not None
    with torch.no_grad():
        target = scene.teacher(scene.source).float()
    return F.l1_loss(scene.output, target) + steps_apart(scene.output, target)


def _same(picture: Tensor) -> Tensor:
    return picture


def _grey(picture: Tensor) -> Tensor:
    """Luma in all three channels."""
    return (yuv(picture)[:, :1] * 2 - 1).expand(-1, 3, -1, -1)


TERMS: dict[str, Callable[[Scene], Tensor]] = {
    "reconstruction": _reconstruction,
    "adversarial": _verdict("adversarial"),
    "surface": _verdict("surface"),
    "texture": _verdict("texture"),
    "structure": _structure,
    "abstraction": _abstraction,
    "content": _content,
    "gram": _gram,
    "colour": _colour,
    "total_variation": _total_variation,
    "scale": _scale,
    "consistency": _consistency,
    "cycle": _cycle,
    "cycle_features": _cycle_features,
    "identity": _identity,
    "paired": _paired,
    "match": _match,
    "teacher": _teacher,
}

BOTH_WAYS = {
    "reconstruction", "adversarial", "cycle", "cycle_features", "identity", "paired", "match"
}  # fmt: skip
"""The terms that the way back learns from too; the others know a cartoon from a photograph."""
