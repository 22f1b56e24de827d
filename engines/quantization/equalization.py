"""Cross-layer equalization: channels of similar range, so that one quantization step suits all of a layer.

M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019: if
everything between two convolutions satisfies f(s x) = s f(x) for s > 0 (leaky ReLU, sums, bilinear resizing),
a channel of the first one may be scaled by s if the second one scales it by 1/s. The ranges used here are
those of the activations on photographs, not those of the weights, and may leave out the largest values.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from engines.quantization.peaks import ChannelPeaks

MIN_RANGE_SHARE = 1e-3
"""Least range of a channel, as a share of the layer's largest, that is used to scale it."""


class Scalable(Protocol):
    """A generator that declares which of its convolutions can be scaled against each other."""

    def equalization_groups(self) -> list[tuple[list[nn.Conv2d], list[nn.Conv2d]]]:
        """Return pairs: the convolutions that write the same (or added) channels, and all that read them."""


@torch.inference_mode()
def equalized(generator: nn.Module, pictures: Sequence[Tensor], clipped: float = 0.0) -> nn.Module:
    """Return a copy that computes the same, with every channel scaled to the range of its layer's widest.

    `pictures` are 1 x channels x H x W in [-1, 1]. `clipped` is the share of a channel's values that exceed
    its range where several convolutions are added up. A generator without `equalization_groups` is returned
    as it is.
    """
    if not hasattr(generator, "equalization_groups"):
        return generator
    twin = copy.deepcopy(generator).eval()
    groups = cast(Scalable, twin).equalization_groups()
    positions = sum(picture.shape[2] * picture.shape[3] for picture in pictures)
    peaks = {
        reader: ChannelPeaks(clipped if len(writers) > 1 else 0.0, positions)
        for writers, readers in groups
        for reader in readers
    }

    def watch(reader: nn.Module, taken: tuple[Tensor]) -> None:
        peaks[cast(nn.Conv2d, reader)].add(taken[0].numpy())

    hooks = [reader.register_forward_pre_hook(watch) for reader in peaks]
    for picture in pictures:
        twin(picture)
    for hook in hooks:
        hook.remove()
    for writers, readers in groups:
        ranges = torch.from_numpy(np.max([peaks[reader].peaks() for reader in readers], axis=0))
        top = ranges.max()
        scale = top / ranges.clamp(min=MIN_RANGE_SHARE * float(top)) if top > 0 else torch.ones_like(ranges)
        for writer in writers:
            writer.weight.mul_(scale[:, None, None, None])
            if writer.bias is not None:
                writer.bias.mul_(scale)
        for reader in readers:
            reader.weight.div_(scale[None, :, None, None])
    return twin
