"""The terms of the generators' loss, by name. `training.recipe.Weights` explains each.

A `LossContext` is one direction in one step: the source, the output, and the networks that compare them. It
computes values only when a term needs them, and only once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.imaging.field_blocks import BLOCK, FIELDS, SAMPLES
from engines.pretrained.vgg import VGG
from training.adversary import Adversary, DiscriminatorBatch
from training.data.superpixels import superpixel_abstraction
from training.losses.drawing import Drawing, drawing_distance
from training.losses.fields import (
    face_distance,
    ink_distance,
    line_distance,
    paint_and_ink,
    paint_distance,
    shifted,
)
from training.losses.perceptual import feature_distance, gram_distance
from training.losses.pixels import gradient_distance, half_size, total_variation, yuv, yuv_color
from training.ranks import StepRandom
from training.recipe import FeatureSettings

MAX_SHIFT_PIXELS = 3
"""Largest shift of the term `consistency`, in pixels. No network's stride divides it."""
MARGIN_PIXELS = 32
"""Pixels that a shifted image loses on each axis: a multiple of every network's size multiple."""
BORDER_PIXELS = 8
"""Pixels at the border of a shifted image that are not compared. Most of their surroundings differ."""
NOISE_DEVIATION = 0.02
"""Standard deviation of the noise of the term `consistency`, in the range [-1, 1]."""


def _same(value: Tensor) -> Tensor:
    return value


@dataclass
class LossContext:
    """One direction of translation in one step.

    Images are N x 3 x H x W in [-1, 1]. A generator of fields takes N x 24 x H x W and returns N x 40 x H x
    W. Its target is N x 56 x H x W, in the layout of `training.data.field_batches`.
    """

    source: Tensor
    target: Tensor
    generator: nn.Module
    rng: StepRandom
    """The random numbers of this step."""
    backward_generator: nn.Module | None = None
    """The generator of the other direction."""
    adversaries: dict[str, Adversary] = field(default_factory=dict)
    source_adversary: Adversary | None = None
    """The discriminator of source images."""
    vgg: VGG | None = None
    features: FeatureSettings = field(default_factory=FeatureSettings)
    abstraction: Tensor | None = None
    color_blocks: int = 1
    teacher: nn.Module | None = None
    drawing: Drawing | None = None
    mean_of_ranks: Callable[[Tensor], Tensor] = _same
    """The mean of a value over all processes."""

    @cached_property
    def output(self) -> Tensor:
        """The generator's output for the source."""
        with torch.enable_grad():  # a term may first ask for it inside a block without gradients
            return self.generate(self.source)

    @cached_property
    def cycled(self) -> Tensor:
        """The source after the round trip through both generators."""
        assert self.backward_generator is not None
        with torch.enable_grad():
            out: Tensor = self.backward_generator(self.output).float()
        return out

    @cached_property
    def discriminator_batches(self) -> dict[str, DiscriminatorBatch]:
        """The output as each discriminator sees it."""
        return {name: each.see(self.target, self.output, self.rng) for name, each in self.adversaries.items()}

    @cached_property
    def output_drawing(self) -> tuple[Tensor, Tensor]:
        """The planes of the drawing that a look makes from the generator's fields."""
        assert self.drawing is not None
        with torch.enable_grad():
            return self.drawing.planes(self.source, self.output)

    @cached_property
    def target_drawing(self) -> tuple[Tensor, Tensor]:
        """The planes of the drawing that the same look makes from the abstraction program's fields."""
        assert self.drawing is not None
        with torch.no_grad():
            return self.drawing.planes(self.source, self.target[:, :FIELDS])

    def generate(self, picture: Tensor) -> Tensor:
        """Return the generator's output for `picture`, in fp32."""
        out: Tensor = self.generator(picture).float()
        return out

    def extract_features(self, picture: Tensor) -> Tensor:
        """Return VGG's features of `picture` at the recipe's layer, before the activation."""
        assert self.vgg is not None
        (features,) = self.vgg(picture, (self.features.layer,), activated=False)
        return cast(Tensor, features)


def _reconstruction(context: LossContext) -> Tensor:
    return F.l1_loss(context.output, context.source)


def _adversarial(name: str) -> Callable[[LossContext], Tensor]:
    return lambda context: context.adversaries[name].generator_loss(context.discriminator_batches[name])


def _match(context: LossContext) -> Tensor:
    return context.adversaries["adversarial"].match(context.discriminator_batches["adversarial"])


def _structure(context: LossContext) -> Tensor:
    with torch.no_grad():
        target = context.extract_features(superpixel_abstraction(context.output))
    return feature_distance(context.extract_features(context.output), target, context.mean_of_ranks)


def _abstraction(context: LossContext) -> Tensor:
    assert context.abstraction is not None
    return F.l1_loss(context.output, context.abstraction) + gradient_distance(
        context.output, context.abstraction
    )


def _content(context: LossContext) -> Tensor:
    size = half_size if context.features.half else _same
    with torch.no_grad():
        target = context.extract_features(size(context.source))
    return feature_distance(context.extract_features(size(context.output)), target, context.mean_of_ranks)


def _gram(context: LossContext) -> Tensor:
    with torch.no_grad():
        target = context.extract_features(_grey(context.target))
    return gram_distance(context.extract_features(_grey(context.output)), target, context.mean_of_ranks)


def _color(context: LossContext) -> Tensor:
    """Compare mean colours of blocks where the recipe says so: colours then count, not the strokes that carry
    them.
    """
    wanted = context.source if context.abstraction is None else context.abstraction
    side = context.color_blocks
    return yuv_color(F.avg_pool2d(context.output, side), F.avg_pool2d(wanted, side))


def _total_variation(context: LossContext) -> Tensor:
    return total_variation(context.output)


def _scale(context: LossContext) -> Tensor:
    return F.l1_loss(context.generate(half_size(context.source)), half_size(context.output))


def _consistency(context: LossContext) -> Tensor:
    """Compare the cartoon of a shifted, noisy crop with the same crop of the cartoon."""
    if context.source.shape[1] == SAMPLES:
        return _fields_consistency(context)
    source, output = context.source, context.output
    down, right = (torch.randint(0, MAX_SHIFT_PIXELS + 1, (2,), generator=context.rng.generator)).tolist()
    height, width = source.shape[2] - MARGIN_PIXELS, source.shape[3] - MARGIN_PIXELS
    rows, columns = slice(down, down + height), slice(right, right + width)
    part = source[:, :, rows, columns]
    inside = slice(BORDER_PIXELS, -BORDER_PIXELS)
    return F.l1_loss(
        context.generate(_with_noise(part, context.rng))[:, :, inside, inside],
        output[:, :, rows, columns][:, :, inside, inside],
    )


def _fields_consistency(context: LossContext) -> Tensor:
    """Compare shifted fields. The network cannot see where in its block a pixel lies."""
    down, right = (2 * torch.randint(0, BLOCK, (2,), generator=context.rng.generator)).tolist()
    part = shifted(context.source, down, right, MARGIN_PIXELS)
    part = _with_noise(part, context.rng)
    inside = slice(BORDER_PIXELS, -BORDER_PIXELS)
    aside = paint_and_ink(part, context.generate(part))
    height, width = aside.shape[2:]
    whole = paint_and_ink(context.source, context.output)[..., down : down + height, right : right + width]
    return F.l1_loss(aside[..., inside, inside], whole[..., inside, inside])


def _with_noise(picture: Tensor, rng: StepRandom) -> Tensor:
    noise = rng.of_items(lambda n, dice: torch.randn((n, *picture.shape[1:]), generator=dice), len(picture))
    return picture + noise.to(picture.device) * NOISE_DEVIATION


def _cycle(context: LossContext) -> Tensor:
    return F.l1_loss(context.cycled, context.source)


def _cycle_features(context: LossContext) -> Tensor:
    assert context.source_adversary is not None
    with torch.no_grad():
        target = context.source_adversary.middle_features(context.source)
    return F.l1_loss(context.source_adversary.middle_features(context.cycled).float(), target.float())


def _identity(context: LossContext) -> Tensor:
    """Return the mean square, which does not depend on the image's size. Eq. 3 and Eq. 5 print a norm."""
    return F.mse_loss(context.generate(context.target), context.target)


def _paired(context: LossContext) -> Tensor:
    return F.mse_loss(context.output, context.target)


def _teacher(context: LossContext) -> Tensor:
    assert context.teacher is not None
    with torch.no_grad():
        target = context.teacher(context.source).float()
    return F.l1_loss(context.output, target) + gradient_distance(context.output, target)


def _paint(context: LossContext) -> Tensor:
    return paint_distance(context.output[:, :SAMPLES], context.target[:, :SAMPLES])


def _ink(context: LossContext) -> Tensor:
    return ink_distance(context.output[:, SAMPLES:], context.target[:, SAMPLES:FIELDS])


def _lines(context: LossContext) -> Tensor:
    return line_distance(context.output[:, SAMPLES:], context.target[:, SAMPLES:FIELDS])


def _faces(context: LossContext) -> Tensor:
    target = context.target
    return face_distance(context.output[:, SAMPLES:], target[:, SAMPLES:FIELDS], target[:, FIELDS:])


def _drawing(context: LossContext) -> Tensor:
    return drawing_distance(context.output_drawing, context.target_drawing)


def _drawing_features(context: LossContext) -> Tensor:
    assert context.drawing is not None
    size = half_size if context.features.half else _same
    with torch.no_grad():
        target = context.extract_features(size(context.drawing.rgb(*context.target_drawing)))
    return feature_distance(
        context.extract_features(size(context.drawing.rgb(*context.output_drawing))),
        target,
        context.mean_of_ranks,
    )


def _grey(picture: Tensor) -> Tensor:
    """Return the luma in all three channels."""
    return (yuv(picture)[:, :1] * 2 - 1).expand(-1, 3, -1, -1)


TERMS: dict[str, Callable[[LossContext], Tensor]] = {
    "reconstruction": _reconstruction,
    "adversarial": _adversarial("adversarial"),
    "surface": _adversarial("surface"),
    "texture": _adversarial("texture"),
    "structure": _structure,
    "abstraction": _abstraction,
    "content": _content,
    "gram": _gram,
    "color": _color,
    "total_variation": _total_variation,
    "scale": _scale,
    "consistency": _consistency,
    "cycle": _cycle,
    "cycle_features": _cycle_features,
    "identity": _identity,
    "paired": _paired,
    "match": _match,
    "teacher": _teacher,
    "paint": _paint,
    "ink": _ink,
    "lines": _lines,
    "faces": _faces,
    "drawing": _drawing,
    "drawing_features": _drawing_features,
}

CYCLE_TERMS = {
    "reconstruction", "adversarial", "cycle", "cycle_features", "identity", "paired", "match"
}  # fmt: skip
"""The terms that the backward direction also learns from. All others distinguish cartoons from photographs.
"""
