"""The generator of "Cartoon to human recovery with Cycle-GAN" (Hong, Chen and Kuo).

The text describes three blocks: a downsample block that halves the size and doubles the channels, a residual
block of two convolutions and a skip connection, and an upsample block that doubles the size and halves the
channels. It does not give their numbers, kernels and widths. These are taken from CycleGAN, which the paper
builds on: two downsample blocks from 64 channels, nine residual blocks, two upsample blocks, 3x3 kernels,
instance normalization and ReLU, 7x7 kernels at both ends with mirrored edges, and tanh. Layout and number of
parameters (11,383,427) therefore equal those of `engines.generators.cyclegan`; the paper's own contribution
is in its losses.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from engines.generators.blocks import ConvNorm, Head, ResidualBlock, UpNorm


class Downsample(ConvNorm):
    """Halves the size, doubles the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2 * channels, stride=2)


class Upsample(UpNorm):
    """Doubles the size, halves the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels // 2)


class CartoonToHuman(nn.Module):
    """Maps N x 3 x H x W RGB in [-1, 1] to the same; H and W are multiples of `size_multiple`."""

    size_multiple: ClassVar[int] = 8
    """Twice the factor 4 of two downsamplings: a map of one pixel cannot be mirrored and has no variance."""

    def __init__(self, channels: int = 64, downsamples: int = 2, blocks: int = 9) -> None:
        super().__init__()
        widths = [channels * 2**step for step in range(downsamples + 1)]
        self.layers = nn.Sequential(
            ConvNorm(3, channels, 7, padding="reflect"),
            *(Downsample(width) for width in widths[:-1]),
            *(ResidualBlock(widths[-1]) for _ in range(blocks)),
            *(Upsample(width) for width in reversed(widths[1:])),
            Head(channels),
        )

    def forward(self, picture: Tensor) -> Tensor:
        """Map N x 3 x H x W RGB in [-1, 1] to the same."""
        out: Tensor = self.layers(picture)
        return out
