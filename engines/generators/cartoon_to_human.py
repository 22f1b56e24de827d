"""The generator of "Cartoon to human recovery with Cycle-GAN" (Hong, Chen and Kuo).

The text gives three blocks - a downsample block that halves the size and doubles the channels, a residual
block of two convolutions and a skip connection, an upsample block that doubles the size and halves the
channels - and leaves their numbers, kernels and widths to figures that say no more than that. What its
base, CycleGAN, has is taken for all of these: two downsample blocks from 64 channels, nine residual
blocks, two upsample blocks, 3x3 kernels, instance normalization and ReLU, 7x7 at both ends over mirrored
edges, tanh. So the layout and the 11,383,427 parameters are those of `engines.generators.cyclegan`; what
is this paper's own lies in its losses.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from engines.generators.blocks import ConvNorm, Head, ResidualBlock, UpNorm


class Downsample(ConvNorm):
    """Half the size, twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 2 * channels, stride=2)


class Upsample(UpNorm):
    """Twice the size, half the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels // 2)


class CartoonToHuman(nn.Module):
    """Takes N x 3 x H x W RGB in [-1, 1], gives the same; H and W are multiples of `size_multiple`."""

    size_multiple: ClassVar[int] = 8
    """Twice the two downsamplings' 4: a map of one pixel has no mirror image and no variance."""

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
        """N x 3 x H x W in [-1, 1] in, the same out."""
        out: Tensor = self.layers(picture)
        return out
