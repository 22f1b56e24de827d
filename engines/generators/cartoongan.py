"""CartoonGAN's generator.

Chen, Lai and Liu, "CartoonGAN: Generative Adversarial Networks for Photo Cartoonization" (CVPR 2018),
Figure 2: a flat 7x7 convolution to 64 channels; two downsamplings, each a 3x3 convolution of stride 2 and
one of stride 1 before a normalization and a ReLU, to 128 and 256; eight residual blocks; two mirrored
upsamplings whose first convolution has stride 1/2 (transposed); 7x7 out. The figure says "norm" and
leaves open which: instance normalization, as in style transfer and in the weights that its authors passed
on. Tanh after the last convolution keeps the output in the range of the pictures. Edges are mirrored in
the 7x7 and the residual convolutions.

11,124,931 parameters: 11.11 M weights, gain and bias for every normalized channel, and a bias where no
normalization follows.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from engines.generators.blocks import ConvNorm, Head, ResidualBlock


class Down(nn.Sequential):
    """Half the size: two convolutions, then normalization and ReLU."""

    def __init__(self, taken: int, given: int) -> None:
        super().__init__(nn.Conv2d(taken, given, 3, stride=2, padding=1), ConvNorm(given, given))


class Up(nn.Sequential):
    """Twice the size: a transposed convolution and a plain one, then normalization and ReLU."""

    def __init__(self, taken: int, given: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(taken, given, 3, stride=2, padding=1, output_padding=1),
            ConvNorm(given, given),
        )


class CartoonGAN(nn.Module):
    """Takes N x 3 x H x W RGB in [-1, 1], gives the same; H and W are multiples of `size_multiple`."""

    size_multiple: ClassVar[int] = 8
    """Twice the two downsamplings' 4: a map of one pixel has no mirror image and no variance."""

    def __init__(self, channels: int = 64, blocks: int = 8) -> None:
        super().__init__()
        c = channels
        self.flat = ConvNorm(3, c, 7, padding="reflect")
        self.down = nn.Sequential(Down(c, 2 * c), Down(2 * c, 4 * c))
        self.blocks = nn.Sequential(*(ResidualBlock(4 * c) for _ in range(blocks)))
        self.up = nn.Sequential(Up(4 * c, 2 * c), Up(2 * c, c))
        self.head = Head(c)

    def forward(self, picture: Tensor) -> Tensor:
        """N x 3 x H x W in [-1, 1] in, the same out."""
        out: Tensor = self.head(self.up(self.blocks(self.down(self.flat(picture)))))
        return out
