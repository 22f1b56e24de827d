"""AnimeGAN's generator: depthwise separable convolutions and inverted residual blocks.

Chen, Liu and Chen, "AnimeGAN: A Novel Lightweight GAN for Photo Animation" (ISICA 2019), Figures 1 and 2,
with 3,956,096 parameters. That number decides what the figures leave open. With the widths below, all
convolutions have 3,931,008 weights. The other 25,088 are gain and bias of the instance normalizations: after
each standard and each 1x1 convolution and after the depthwise convolutions of the inverted residual blocks,
but not between the two halves of a separable convolution. No convolution has a bias. 3x3 kernels see mirrored
edges.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2


def _conv(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel,
        stride,
        kernel // 2,
        groups=groups,
        bias=False,
        padding_mode="reflect",
    )


def _norm(channels: int) -> nn.InstanceNorm2d:
    return nn.InstanceNorm2d(channels, affine=True)


class ConvBlock(nn.Sequential):
    """Convolution, instance normalization, LeakyReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3) -> None:
        super().__init__(_conv(in_channels, out_channels, kernel), _norm(out_channels), nn.LeakyReLU(SLOPE))


class DSConv(nn.Sequential):
    """Depthwise 3x3 and 1x1 convolution, instance normalization, LeakyReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(
            _conv(in_channels, in_channels, stride=stride, groups=in_channels),
            _conv(in_channels, out_channels, 1),
            _norm(out_channels),
            nn.LeakyReLU(SLOPE),
        )


class DownConv(nn.Module):
    """Halves the size: a separable convolution of stride 2, plus one of the input resized to half."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.strided = DSConv(in_channels, out_channels, stride=2)
        self.resized = DSConv(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `in_channels` x H x W to `out_channels` x H/2 x W/2."""
        # Bilinear resizing to exactly half is the mean of 2 x 2 pixels. Even sizes do not need `ceil_mode`,
        # but with it torch.export sees that both branches have the same size.
        out: Tensor = self.strided(x) + self.resized(F.avg_pool2d(x, 2, ceil_mode=True))
        return out


class UpConv(nn.Module):
    """Doubles the size: bilinear resizing, then a separable convolution."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = DSConv(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `in_channels` x H x W to `out_channels` x 2H x 2W."""
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
        """Map channels x H x W to the same shape."""
        out: Tensor = x + self.body(x)
        return out


class AnimeGAN(nn.Module):
    """Maps N x 3 x H x W RGB in [-1, 1] to the same; H and W are multiples of `size_multiple`."""

    size_multiple: ClassVar[int] = 8
    """Twice the factor 4 of two downsamplings: a map of one pixel cannot be mirrored and has no variance."""

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
        """Map N x 3 x H x W RGB in [-1, 1] to the same."""
        x = self.blocks(self.down2(self.down1(picture)))
        return torch.tanh(self.head(self.up1(self.up2(x))))
