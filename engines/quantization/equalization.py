"""Cross-layer equalization: channels of similar range, so that one quantization step suits all of a layer.

M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019: if
everything between two convolutions satisfies f(s x) = s f(x) for s > 0 (leaky ReLU, sums, bilinear resizing),
a channel of the first one may be scaled by s if the second one scales it by 1/s. The ranges used here are
those of the activations on photographs, not those of the weights.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Protocol, cast

import torch
from torch import Tensor, nn

MIN_RANGE_SHARE = 1e-3
"""Least range of a channel, as a share of the layer's largest, that is used to scale it."""


class Scalable(Protocol):
    """A generator that declares which of its convolutions can be scaled against each other."""

    def equalization_groups(self) -> list[tuple[list[nn.Conv2d], list[nn.Conv2d]]]:
        """Return pairs: the convolutions that write the same (or added) channels, and all that read them."""


@torch.inference_mode()
def equalized(generator: nn.Module, pictures: Iterable[Tensor]) -> nn.Module:
    """Return a copy that computes the same, with every channel scaled to the largest value of its layer.

    `pictures` are N x channels x H x W in [-1, 1]. A generator without
    `equalization_groups` is returned as it is.
    """
    if not hasattr(generator, "equalization_groups"):
        return generator
    twin = copy.deepcopy(generator).eval()
    groups = cast(Scalable, twin).equalization_groups()
    ranges = [torch.zeros(readers[0].in_channels) for _, readers in groups]

    def watch(at: int) -> object:
        def look(_: nn.Module, taken: tuple[Tensor]) -> None:
            ranges[at] = torch.maximum(ranges[at], taken[0].abs().amax(dim=(0, 2, 3)))

        return look

    hooks = [
        reader.register_forward_pre_hook(watch(at))  # type: ignore[arg-type]  # torch's type of a hook is Any
        for at, (_, readers) in enumerate(groups)
        for reader in readers
    ]
    for picture in pictures:
        twin(picture)
    for hook in hooks:
        hook.remove()
    for (writers, readers), largest in zip(groups, ranges, strict=True):
        top = largest.max()
        scale = top / largest.clamp(min=MIN_RANGE_SHARE * float(top)) if top > 0 else torch.ones_like(largest)
        for writer in writers:
            writer.weight.mul_(scale[:, None, None, None])
            if writer.bias is not None:
                writer.bias.mul_(scale)
        for reader in readers:
            reader.weight.div_(scale[None, :, None, None])
    return twin
