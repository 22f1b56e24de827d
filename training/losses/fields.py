"""Losses between fields and those of the abstraction program.

All take N x C x H x W in the generator's scale (code values / 127.5), in the order of
`engines.imaging.field_blocks`. They are L1, so that uncertain values become the more likely of two and not
their mean. Steps between neighbouring samples count too, which keeps flat paint flat and lines thin.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engines.imaging.field_blocks import BLOCK, INK_SCALE, INK_ZERO, SAMPLES
from training.losses.pixels import gradient_distance

LUMA_CHANNELS = BLOCK**2
"""Luma channels of a block."""
CODES_PER_UNIT = 127.5
INK_WEIGHT = 3.0
"""A sample with response r counts 1 + 3 r times, r at most 1.3: most of an image has no ink."""
HALF_WIDTH = 0.35
"""Half width of the soft threshold, in units of the response: the width of a line's edge in the finished
look.
"""


def paint_distance(output: Tensor, target: Tensor) -> Tensor:
    """Return the distance of 24 channels of paint: L1 and L1 of steps, luma and chroma; steps of chroma count
    half.
    """
    luma, wanted = (F.pixel_shuffle(fields[:, :LUMA_CHANNELS], BLOCK) for fields in (output, target))
    chroma, tint = (F.pixel_shuffle(fields[:, LUMA_CHANNELS:], 2) for fields in (output, target))
    return (
        F.l1_loss(luma, wanted)
        + gradient_distance(luma, wanted)
        + F.l1_loss(chroma, tint)
        + 0.5 * gradient_distance(chroma, tint)
    )


def ink_distance(output: Tensor, target: Tensor) -> Tensor:
    """Return the distance of 16 channels of ink: L1, weighted towards ink, and half as much L1 of steps.

    The unit is that of the response.
    """
    response, wanted = _response(output), _response(target)
    weight = 1 + INK_WEIGHT * wanted.clamp(0, 1.3)
    return ((response - wanted).abs() * weight).mean() + 0.5 * gradient_distance(response, wanted)


def line_distance(output: Tensor, target: Tensor) -> Tensor:
    """Return L1 between the lines of both responses, which depends only on values near the threshold."""
    return F.l1_loss(_coverage(_response(output)), _coverage(_response(target)))


def face_distance(output: Tensor, target: Tensor, where: Tensor) -> Tensor:
    """Return the distance of 16 channels of ink in the features of faces: L1 of the response, weighted
    towards ink, and L1 of lines.

    `where` has the same shape: 1 in a feature, else 0. Features are a few samples of an image, so in other
    distances they hardly count. The mean is over all samples.
    """
    response, wanted = _response(output), _response(target)
    weight = 1 + INK_WEIGHT * wanted.clamp(0, 1.3)
    distance = (response - wanted).abs() * weight + (_coverage(response) - _coverage(wanted)).abs()
    return (distance * F.pixel_shuffle(where, BLOCK)).mean()


def shifted(blocks: Tensor, down: int, right: int, margin: int) -> Tensor:
    """Return N x 24 x h x w blocks of the same image, shifted by some pixels down and to the right.

    Both shifts are even, since colour has half the resolution. `margin`, a multiple of a block, is removed
    from the image's height and width.
    """
    luma, chroma = (
        F.pixel_shuffle(blocks[:, :LUMA_CHANNELS], BLOCK),
        F.pixel_shuffle(blocks[:, LUMA_CHANNELS:SAMPLES], 2),
    )
    height, width = luma.shape[2] - margin, luma.shape[3] - margin
    luma = luma[..., down : down + height, right : right + width]
    half = height // 2, width // 2
    chroma = chroma[..., down // 2 : down // 2 + half[0], right // 2 : right // 2 + half[1]]
    return torch.cat([F.pixel_unshuffle(luma, BLOCK), F.pixel_unshuffle(chroma, 2)], 1)


def paint_and_ink(source: Tensor, fields: Tensor) -> Tensor:
    """Return N x 2 x 4h x 4w: luma of the paint and ink response, both in the generator's scale."""
    luma = F.pixel_shuffle(source[:, :LUMA_CHANNELS] + fields[:, :LUMA_CHANNELS], BLOCK)
    return torch.cat([luma, F.pixel_shuffle(fields[:, SAMPLES:], BLOCK)], 1)


def _response(ink: Tensor) -> Tensor:
    """Return N x 1 x 4H x 4W ink responses."""
    return F.pixel_shuffle(((ink + 1) * CODES_PER_UNIT - INK_ZERO) / INK_SCALE, BLOCK)


def _coverage(response: Tensor) -> Tensor:
    """Return 0 on paint to 1 in a line, by a cubic step around the threshold."""
    t = ((response - 1) / (2 * HALF_WIDTH) + 0.5).clamp(0, 1)
    return t * t * (3 - 2 * t)
