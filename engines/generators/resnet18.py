"""The ResNet-18 generator with concatenated residual layers, and additions on the way up.

Section 4.2 of the paper on animation style migration with a Wasserstein loss and ResNet-18 as its basic
model. Down: 7x7 convolution, instance normalization, ReLU, max pooling; then four residual layers of two
blocks Conv-IN-ReLU-Conv-IN, whose output is concatenated with the input of the entire layer and convolved
once more, all 3x3. Up: a convolution, upsampling by 2 and the addition of the layer before, as far as the
first; then convolutions of 1x1, 1x1 and 7x7 to three channels, and tanh.

The text's sizes - pooling in the stem, a halving after each of four layers, 1/16 after them, 1/8 at the
third - agree only if the pooling is the one halving of the stem (its convolution has stride 1) and the
layers are halved between each other, with nothing to halve for after the fourth: 1/2, 1/4, 1/8, 1/16.
A last upsampling before the 7x7 convolution brings back the full size. (A stem that keeps the size and
four halvings reads as well and computes four times as much.)

Chosen where the text is silent: ResNet-18's widths 64 to 512, doubled by a layer's first convolution;
max pooling for the halvings; ReLU after the convolution that follows a concatenation, as at the end of
ResNet's blocks; 3x3 convolutions with instance normalization before each upsampling; bilinear
upsampling; 64 and 32 channels in the last convolutions; zeros at the edges. 22,001,923 parameters.
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
    """Conv-IN-ReLU-Conv-IN, concatenation with the input of the layer it belongs to, one more convolution."""

    def __init__(self, taken: int, layer_taken: int, given: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(taken, given),
            nn.Conv2d(given, given, 3, padding=1, bias=False),
            nn.InstanceNorm2d(given, affine=True),
        )
        self.merge = nn.Conv2d(given + layer_taken, given, 3, padding=1)

    def forward(self, x: Tensor, layer_input: Tensor) -> Tensor:
        """The block's own input and its layer's, both H x W; `given` x H x W out."""
        return F.relu(self.merge(torch.cat((self.body(x), layer_input), 1)))


class ResidualLayer(nn.Module):
    """Two blocks that both see the layer's input."""

    def __init__(self, taken: int, given: int) -> None:
        super().__init__()
        self.block1 = ShortcutBlock(taken, taken, given)
        self.block2 = ShortcutBlock(given, taken, given)

    def forward(self, x: Tensor) -> Tensor:
        """`taken` x H x W in, `given` x H x W out."""
        out: Tensor = self.block2(self.block1(x, x), x)
        return out


class ResNet18(nn.Module):
    """Takes N x 3 x H x W RGB in [-1, 1], gives the same; H and W are multiples of `size_multiple`."""

    size_multiple: ClassVar[int] = 32
    """Twice the four halvings' 16: a map of one pixel has no variance."""

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
        """N x 3 x H x W in [-1, 1] in, the same out."""
        half = self.layer1(F.max_pool2d(self.stem(picture), 2))
        quarter = self.layer2(F.max_pool2d(half, 2))
        eighth = self.layer3(F.max_pool2d(quarter, 2))
        sixteenth = self.layer4(F.max_pool2d(eighth, 2))
        eighth = eighth + _upsample(self.narrow4(sixteenth))
        quarter = quarter + _upsample(self.narrow3(eighth))
        half = half + _upsample(self.narrow2(quarter))
        return torch.tanh(self.head(_upsample(self.mix(half))))
