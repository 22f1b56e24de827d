"""Blocks that the generators with instance normalization share."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """Convolution, instance normalization with gain and bias, ReLU.

    The convolution has no bias, because the normalization would remove it. An odd kernel keeps the size at
    stride 1 and halves an even size at stride 2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        padding: Literal["zeros", "reflect"] = "zeros",
    ) -> None:
        super().__init__(
            nn.Conv2d(
                in_channels, out_channels, kernel, stride, kernel // 2, bias=False, padding_mode=padding
            ),
            nn.InstanceNorm2d(out_channels, affine=True),
            nn.ReLU(),
        )


class UpNorm(nn.Sequential):
    """Transposed 3x3 convolution of stride 2 (size doubles), instance normalization, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(
                in_channels, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False
            ),
            nn.InstanceNorm2d(out_channels, affine=True),
            nn.ReLU(),
        )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions over mirrored edges, each instance-normalized, and an addition without ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(channels, channels, padding="reflect"),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False, padding_mode="reflect"),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map channels x H x W to the same shape."""
        out: Tensor = x + self.body(x)
        return out


class Head(nn.Module):
    """A 7x7 convolution over mirrored edges to three channels, then tanh."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 3, 7, padding=3, padding_mode="reflect")

    def forward(self, x: Tensor) -> Tensor:
        """Map channels x H x W to 3 x H x W in [-1, 1]."""
        return torch.tanh(self.conv(x))
