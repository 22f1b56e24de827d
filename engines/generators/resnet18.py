"""The ResNet-18 generator with concatenating residual layers, and additions on the way up.

Section 4.2 of the paper on animation style migration with a Wasserstein loss and ResNet-18 as its base. Down:
7x7 convolution, instance normalization, ReLU, max pooling; then four residual layers of two blocks
Conv-IN-ReLU-Conv-IN, whose output is concatenated with the layer's input and convolved once more, all 3x3.
Up: a convolution, upsampling by 2 and addition of the previous layer, up to the first; then convolutions of
1x1, 1x1 and 7x7 to three channels, and tanh.

The sizes in the text (pooling in the stem, a halving after each of four layers, 1/16 after them, 1/8 at the
third) are consistent only if the pooling is the stem's single halving (its convolution has stride 1) and the
sizes are halved between layers, but not after the fourth: 1/2, 1/4, 1/8, 1/16. A last upsampling before the
7x7 convolution restores the full size. (A stem that keeps the size and four halvings would also fit and
compute four times as much.)

Where the text says nothing: ResNet-18's widths 64 to 512, doubled by a layer's first convolution; max pooling
for the halvings; ReLU after the convolution that follows a concatenation, as at the end of ResNet's blocks;
3x3 convolutions with instance normalization before each upsampling; bilinear upsampling; 64 and 32 channels
in the last convolutions; zero padding. 22,001,923 parameters.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.generators.blocks import ConvNorm


def _upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class ShortcutBlock(nn.Module):
    """Conv-IN-ReLU-Conv-IN, concatenation with the input of its layer, and one more convolution."""

    def __init__(self, in_channels: int, layer_in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(in_channels, out_channels),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(out_channels, affine=True),
        )
        self.merge = nn.Conv2d(out_channels + layer_in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor, layer_input: Tensor) -> Tensor:
        """Map the block's input and its layer's input, both of H x W, to `out_channels` x H x W."""
        return F.relu(self.merge(torch.cat((self.body(x), layer_input), 1)))


class ResidualLayer(nn.Module):
    """Two blocks that both receive the layer's input."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.block1 = ShortcutBlock(in_channels, in_channels, out_channels)
        self.block2 = ShortcutBlock(out_channels, in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map `in_channels` x H x W to `out_channels` x H x W."""
        out: Tensor = self.block2(self.block1(x, x), x)
        return out


class ResNet18(nn.Module):
    """Maps N x 3 x H x W RGB in [-1, 1] to the same; H and W are multiples of `size_multiple`."""

    size_multiple: ClassVar[int] = 32
    """Twice the factor 16 of four halvings: a map of one pixel has no variance."""

    def __init__(self, widths: tuple[int, int, int, int] = (64, 128, 256, 512)) -> None:
        super().__init__()
        a, b, c, d = widths
        self.stem = ConvNorm(3, a, 7)
        self.layer1 = ResidualLayer(a, a)
        self.layer2 = ResidualLayer(a, b)
        self.layer3 = ResidualLayer(b, c)
        self.layer4 = ResidualLayer(c, d)
        self.narrow4 = ConvNorm(d, c)
        self.narrow3 = ConvNorm(c, b)
        self.narrow2 = ConvNorm(b, a)
        self.mix = nn.Sequential(nn.Conv2d(a, a, 1), nn.ReLU(), nn.Conv2d(a, a // 2, 1), nn.ReLU())
        self.head = nn.Conv2d(a // 2, 3, 7, padding=3)

    def forward(self, picture: Tensor) -> Tensor:
        """Map N x 3 x H x W RGB in [-1, 1] to the same."""
        half = self.layer1(F.max_pool2d(self.stem(picture), 2))
        quarter = self.layer2(F.max_pool2d(half, 2))
        eighth = self.layer3(F.max_pool2d(quarter, 2))
        sixteenth = self.layer4(F.max_pool2d(eighth, 2))
        eighth = eighth + _upsample(self.narrow4(sixteenth))
        quarter = quarter + _upsample(self.narrow3(eighth))
        half = half + _upsample(self.narrow2(quarter))
        return torch.tanh(self.head(_upsample(self.mix(half))))
