"""CartoonGAN's generator.

Chen, Lai and Liu, "CartoonGAN: Generative Adversarial Networks for Photo Cartoonization" (CVPR 2018), Figure
2: a flat 7x7 convolution to 64 channels; two downsamplings, each a 3x3 convolution of stride 2 and one of
stride 1 before a normalization and a ReLU, to 128 and 256 channels; eight residual blocks; two upsamplings
that mirror the downsamplings, whose first convolution has stride 1/2 (transposed); a 7x7 convolution. The
figure says "norm" without a kind; this is instance normalization, as in style transfer and in the weights
that the authors published. Tanh after the last convolution keeps the output in range. The 7x7 and the
residual convolutions see mirrored edges.

11,124,931 parameters: 11.11 M weights, gain and bias of every normalized channel, and a bias where no
normalization follows.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from engines.generators.blocks import ConvNorm, Head, ResidualBlock


class Down(nn.Sequential):
    """Halves the size: two convolutions, then normalization and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1), ConvNorm(out_channels, out_channels)
        )


class Up(nn.Sequential):
    """Doubles the size: a transposed convolution and an ordinary one, then normalization and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1),
            ConvNorm(out_channels, out_channels),
        )


class CartoonGAN(nn.Module):
    """Maps N x 3 x H x W RGB in [-1, 1] to the same; H and W are multiples of `size_multiple`."""

    size_multiple: ClassVar[int] = 8
    """Twice the factor 4 of two downsamplings: a map of one pixel cannot be mirrored and has no variance."""

    def __init__(self, channels: int = 64, blocks: int = 8) -> None:
        super().__init__()
        c = channels
        self.flat = ConvNorm(3, c, 7, padding="reflect")
        self.down = nn.Sequential(Down(c, 2 * c), Down(2 * c, 4 * c))
        self.blocks = nn.Sequential(*(ResidualBlock(4 * c) for _ in range(blocks)))
        self.up = nn.Sequential(Up(4 * c, 2 * c), Up(2 * c, c))
        self.head = Head(c)

    def forward(self, picture: Tensor) -> Tensor:
        """Map N x 3 x H x W RGB in [-1, 1] to the same."""
        out: Tensor = self.head(self.up(self.blocks(self.down(self.flat(picture)))))
        return out
