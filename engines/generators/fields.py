"""Generators of fields: the paint and the ink of a frame, which a look turns into a drawing.

The network works on blocks of 4 x 4 pixels (see `engines.imaging.field_blocks`). Pixel unshuffling (Shi et
al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
Network", CVPR 2016) is done on bytes before the network and undone on bytes after it. The body consists of
residual blocks with dilations that grow and shrink (Yu and Koltun, "Multi-Scale Context Aggregation by
Dilated Convolutions", ICLR 2016).
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.imaging.field_blocks import FIELDS, SAMPLES


class DilatedBlock(nn.Module):
    """Adds conv(ReLU(dilated conv(x))) to x. It starts close to the identity."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        out: Tensor = features + self.conv2(F.relu(self.conv1(features)))
        return out


@torch.no_grad()
def start_from_frame(network: nn.Module, blocks: nn.Sequential, head: nn.Conv2d) -> None:
    """Initialise a network of fields, so that it starts with the frame itself as paint and without ink."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]
    for block in blocks:  # otherwise the loss has spikes at a useful learning rate
        block.conv2.weight.mul_(0.1)  # type: ignore[union-attr, operator]
    nn.init.zeros_(head.weight)
    head.bias[:SAMPLES] = 0.5 / 127.5  # type: ignore[index]  # code 128: the frame's own value
    head.bias[SAMPLES:] = -0.6  # type: ignore[index]  # code 51: no ink


class Fields(nn.Module):
    """Fully convolutional on blocks: 3 x 3 convolutions, ReLU and sums, nothing else.

    Maps N x 24 x H x W samples in [-1, 1] (code / 127.5 - 1) to N x 40 x H x W fields on the same scale: 24
    of paint and 16 of ink.
    """

    channels: ClassVar[tuple[int, int]] = (SAMPLES, FIELDS)
    size_multiple: ClassVar[int] = 1
    gains_from_int8: ClassVar[bool] = True

    def __init__(self, width: int = 64, dilations: tuple[int, ...] = (1, 2, 4, 2, 1)) -> None:
        super().__init__()
        self.stem = nn.Conv2d(SAMPLES, width, 3, padding=1)
        self.blocks = nn.Sequential(*(DilatedBlock(width, dilation) for dilation in dilations))
        self.head = nn.Conv2d(width, FIELDS, 3, padding=1)
        start_from_frame(self, self.blocks, self.head)

    def equalization_groups(self) -> list[tuple[list[nn.Conv2d], list[nn.Conv2d]]]:
        """Return the groups for `engines.quantization.equalization`."""
        blocks: list[DilatedBlock] = list(self.blocks)  # type: ignore[arg-type]
        return [
            ([self.stem, *(b.conv2 for b in blocks)], [*(b.conv1 for b in blocks), self.head]),
            *(([b.conv1], [b.conv2]) for b in blocks),
        ]

    def forward(self, samples: Tensor) -> Tensor:
        """Map N x 24 x H x W in [-1, 1] to N x 40 x H x W, which may leave [-1, 1] slightly."""
        out: Tensor = self.head(self.blocks(F.relu(self.stem(samples))))
        return out
