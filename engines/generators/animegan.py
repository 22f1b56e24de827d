"""AnimeGAN's generator: depthwise separable convolutions and inverted residual blocks.

Chen, Liu and Chen, "AnimeGAN: A Novel Lightweight GAN for Photo Animation" (ISICA 2019), Figures 1 and 2,
with 3,956,096 parameters. That count settles what the figures leave open: with the widths below, all
convolutions have 3,931,008 weights, and the 25,088 that remain are gain and bias of every instance
normalization - after each standard and each 1x1 convolution and after the depthwise convolutions of the
inverted residual blocks, not between the two halves of a separable convolution - and no convolution has
a bias. Edges are mirrored around every 3x3 kernel.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2


def _conv(taken: int, given: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        taken, given, kernel, stride, kernel // 2, groups=groups, bias=False, padding_mode="reflect"
    )


def _norm(channels: int) -> nn.InstanceNorm2d:
    return nn.InstanceNorm2d(channels, affine=True)


class ConvBlock(nn.Sequential):
    """Convolution, instance normalization, LeakyReLU."""

    def __init__(self, taken: int, given: int, kernel: int = 3) -> None:
        super().__init__(_conv(taken, given, kernel), _norm(given), nn.LeakyReLU(SLOPE))


class DSConv(nn.Sequential):
    """Depthwise 3x3 and 1x1 convolution, instance normalization, LeakyReLU."""

    def __init__(self, taken: int, given: int, stride: int = 1) -> None:
        super().__init__(
            _conv(taken, taken, stride=stride, groups=taken),
            _conv(taken, given, 1),
            _norm(given),
            nn.LeakyReLU(SLOPE),
        )


class DownConv(nn.Module):
    """Half the size: a separable convolution of stride 2, plus one of the picture resized to half."""

    def __init__(self, taken: int, given: int) -> None:
        super().__init__()
        self.strided = DSConv(taken, given, stride=2)
        self.resized = DSConv(taken, given)

    def forward(self, x: Tensor) -> Tensor:
        """`taken` x H x W in, `given` x H/2 x W/2 out."""
        # Bilinear resizing to exactly half is the mean of two by two pixels. Even sizes need no `ceil_mode`;
        # with it torch.export sees that both branches are of one size.
        out: Tensor = self.strided(x) + self.resized(F.avg_pool2d(x, 2, ceil_mode=True))
        return out


class UpConv(nn.Module):
    """Twice the size: bilinear resizing, then a separable convolution."""

    def __init__(self, taken: int, given: int) -> None:
        super().__init__()
        self.conv = DSConv(taken, given)

    def forward(self, x: Tensor) -> Tensor:
        """`taken` x H x W in, `given` x 2H x 2W out."""
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
        return out


class InvertedResidualBlock(nn.Module):
    """1x1 to `expansion` times the channels, depthwise 3x3, 1x1 back, and an addition."""

    def __init__(self, channels: int, expansion: int = 2) -> None:
        super().__init__()
        wide = channels * expansion
        self.body = nn.Sequential(
            ConvBlock(channels, wide, 1),
            _conv(wide, wide, groups=wide),
            _norm(wide),
            nn.LeakyReLU(SLOPE),
            _conv(wide, channels, 1),
            _norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Channels x H x W in, the same out."""
        out: Tensor = x + self.body(x)
        return out


class AnimeGAN(nn.Module):
    """Takes N x 3 x H x W RGB in [-1, 1], gives the same; H and W are multiples of `size_multiple`."""

    size_multiple: ClassVar[int] = 8
    """Twice the two downsamplings' 4: a map of one pixel has no mirror image and no variance."""

    def __init__(self, channels: int = 64, blocks: int = 8) -> None:
        super().__init__()
        c = channels
        self.down1 = nn.Sequential(ConvBlock(3, c), ConvBlock(c, c), DownConv(c, 2 * c))
        self.down2 = nn.Sequential(ConvBlock(2 * c, 2 * c), DSConv(2 * c, 2 * c), DownConv(2 * c, 4 * c))
        self.blocks = nn.Sequential(
            ConvBlock(4 * c, 4 * c),
            *(InvertedResidualBlock(4 * c) for _ in range(blocks)),
            ConvBlock(4 * c, 4 * c),
        )
        self.up2 = nn.Sequential(UpConv(4 * c, 2 * c), DSConv(2 * c, 2 * c), ConvBlock(2 * c, 2 * c))
        self.up1 = nn.Sequential(UpConv(2 * c, 2 * c), ConvBlock(2 * c, c), ConvBlock(c, c))
        self.head = _conv(c, 3, 1)

    def forward(self, picture: Tensor) -> Tensor:
        """N x 3 x H x W in [-1, 1] in, the same out."""
        x = self.blocks(self.down2(self.down1(picture)))
        return torch.tanh(self.head(self.up1(self.up2(x))))
