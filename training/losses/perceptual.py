"""Losses on features: distances of content and structure, and of texture by Gram matrices.

Each is relative to its target's mean, so that a weight means the same for every layer and every file of VGG
weights, whose features differ in scale by orders of magnitude. All are computed in fp32, also under autocast.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from training.losses.precision import to_fp32

Mean = Callable[[Tensor], Tensor]
"""The mean of a number over all processes."""


def feature_distance(seen: Tensor, target: Tensor, mean_of_ranks: Mean | None = None) -> Tensor:
    """mean |seen - target| / mean |target|; no gradient flows to the target.

    Content (LWComicGAN, Eq. 3; L_sp of the FPT thesis) and structure, by what the target shows. Both are
    features of one shape. A target of zeros alone has no size: the result is then not finite. Where several
    processes share a batch, `mean_of_ranks` makes the target's size that of the whole batch.
    """
    goal = to_fp32(target.detach())
    size = goal.abs().mean()
    return (to_fp32(seen) - goal).abs().mean() / (mean_of_ranks(size) if mean_of_ranks else size)


def gram(features: Tensor) -> Tensor:
    """Return how channels respond together: N x C x H x W to N x C x C (LWComicGAN, Eq. 1, divided by C H W).

    The paper does not divide the sum. Divided, it does not depend on the image's size.
    """
    with torch.autocast(features.device.type, enabled=False):  # which autocast would multiply in bfloat16
        flat = to_fp32(features).flatten(2)
        return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def gram_distance(seen: Tensor, target: Tensor, mean_of_ranks: Mean | None = None) -> Tensor:
    """`feature_distance` of the Gram matrices of two batches of features (LWComicGAN's grey-scale loss, Eq.
    4).

    The target is a batch of grey style pictures: the equation prints the photograph's q there, but the
    sentences around it name the style's x, and the loss is to bring the style's lines and texture.
    Picture by picture; heights and widths may differ, for the matrices do not show them.
    """
    return feature_distance(gram(seen), gram(target), mean_of_ranks)
