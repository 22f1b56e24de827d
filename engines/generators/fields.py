"""Generators of fields: what a picture would be as paint and as ink, for looks to make a drawing of.

Everything happens in blocks of 4 x 4 pixels (see `engines.imaging.field_blocks`): pixel unshuffling (Shi et
al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
Network", CVPR 2016) is done on bytes before the network, and undone on bytes after it. The body is residual
blocks with dilations that grow and shrink (Yu and Koltun, "Multi-Scale Context Aggregation by Dilated
Convolutions", ICLR 2016).
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.imaging.field_blocks import FIELDS, SAMPLES


class DilatedBlock(nn.Module):
    """x + a convolution of ReLU of a dilated convolution; it starts near the identity."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """N x channels x H x W in, the same out."""
        out: Tensor = features + self.conv2(F.relu(self.conv1(features)))
        return out


class Fields(nn.Module):
    """Fully convolutional, at one block a position: 3 x 3 convolutions, ReLU and sums, nothing else.

    Takes N x 24 x H x W samples in [-1, 1] (code / 127.5 - 1) and gives N x 40 x H x W in the same scale: 24
    of paint, 16 of ink. It starts with the picture itself as paint and no ink.
    """

    channels: ClassVar[tuple[int, int]] = (SAMPLES, FIELDS)
    size_multiple: ClassVar[int] = 1
    gains_from_int8: ClassVar[bool] = True

    def __init__(self, width: int = 64, dilations: tuple[int, ...] = (1, 2, 4, 2, 1)) -> None:
        super().__init__()
        self.stem = nn.Conv2d(SAMPLES, width, 3, padding=1)
        self.blocks = nn.Sequential(*(DilatedBlock(width, dilation) for dilation in dilations))
        self.head = nn.Conv2d(width, FIELDS, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            for block in self.blocks:  # else training at a useful rate has spikes
                block.conv2.weight.mul_(0.1)  # type: ignore[union-attr, operator]
            nn.init.zeros_(self.head.weight)
            self.head.bias[:SAMPLES] = 0.5 / 127.5  # type: ignore[index]  # code 128: the picture's own
            self.head.bias[SAMPLES:] = -0.6  # type: ignore[index]  # code 51: no ink

    def equalization_groups(self) -> list[tuple[list[nn.Conv2d], list[nn.Conv2d]]]:
        """As `engines.quantization.equalization` wants it."""
        blocks: list[DilatedBlock] = list(self.blocks)  # type: ignore[arg-type]
        return [
            ([self.stem, *(b.conv2 for b in blocks)], [*(b.conv1 for b in blocks), self.head]),
            *(([b.conv1], [b.conv2]) for b in blocks),
        ]

    def forward(self, samples: Tensor) -> Tensor:
        """N x 24 x H x W in [-1, 1] in, N x 40 x H x W out; it may leave [-1, 1] slightly."""
        out: Tensor = self.head(self.blocks(F.relu(self.stem(samples))))
        return out
