"""The UNet as integers compute it fastest: its layers of full size work on squares of 2 x 2 pixels.

At full size the UNet has 32 channels, which fill half of an integer matrix unit, and reading and writing them
takes longer than the arithmetic. Folded (pixel unshuffling: Shi et al., CVPR 2016) they are 128 at half the
side: the convolution that follows the bilinear enlargement works where its input is small, the enlargement is
a convolution itself, and its sum with the skip is no pass of its own. The function is the same to the last
rounding; it has more multiplications by zero, which float pays for and integers do not. Measured on one
core, int8 at 640x360, against the plain form: 0.83 of the time with AMX, 0.80 with AVX-512 VNNI, 0.88 with
AVX-VNNI; 1.13 with AVX2 alone.

Folded channels are ordered by their pixel first: those of the upper left pixels, then the upper right ones,
the lower left ones, the lower right ones.
"""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.generators.pixel_shuffle_head import pixel_shuffle_conv
from engines.generators.unet import UNet, activate, upsample

PIXELS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Of a square: how far below and right of its first one."""


class SpaceToDepthConv(nn.Module):
    """A convolution over folded pictures, N x 4C x h x w, giving its values at some pixels of each square.

    N x (number of pixels * channels out) x h x w. The convolution has an odd kernel and keeps the size.
    """

    def __init__(self, conv: nn.Conv2d, pixels: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        given, taken, side, _ = conv.weight.shape
        reach = side // 2
        # Offsets in squares, from the square that the outputs lie in to the first and last ones looked at.
        first = [min((p[axis] - reach) // 2 for p in pixels) for axis in (0, 1)]
        last = [max((p[axis] + reach) // 2 for p in pixels) for axis in (0, 1)]
        kernel = (last[0] - first[0] + 1, last[1] - first[1] + 1)
        weight = torch.zeros(len(pixels), given, 2, 2, taken, *kernel)
        for at, (down, right) in enumerate(pixels):
            for row in range(side):
                for column in range(side):
                    y, x = down + row - reach, right + column - reach
                    weight[at, :, y % 2, x % 2, :, y // 2 - first[0], x // 2 - first[1]] = conv.weight[
                        :, :, row, column
                    ]
        assert conv.bias is not None
        self.border = (-first[1], last[1], -first[0], last[0])
        self.conv = nn.Conv2d(4 * taken, len(pixels) * given, kernel)
        with torch.no_grad():
            self.conv.weight.copy_(weight.reshape(self.conv.weight.shape))
            self.conv.bias.copy_(conv.bias.repeat(len(pixels)))  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """N x 4C x h x w in."""
        out: Tensor = self.conv(F.pad(x, self.border))
        return out


class SpaceToDepthUpsample(nn.Module):
    """Twice the size, bilinearly, folded: N x C x h x w to N x 4C x h x w, as a convolution of 3 x 3.

    A pixel lies a quarter of the distance from its square's middle to the next one: its value is 3/4 of its
    own square's and 1/4 of the neighbour's, along both sides. The border's values are repeated.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        parts = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]])
        self.conv = nn.Conv2d(channels, 4 * channels, 3, bias=False)
        weight = torch.zeros(4, channels, channels, 3, 3)
        for at, (down, right) in enumerate(PIXELS):
            for channel in range(channels):
                weight[at, channel, channel] = torch.outer(parts[down], parts[right])
        with torch.no_grad():
            self.conv.weight.copy_(weight.reshape(self.conv.weight.shape))

    def forward(self, x: Tensor) -> Tensor:
        """N x C x h x w in, N x 4C x h x w out."""
        out: Tensor = self.conv(F.pad(x, (1, 1, 1, 1), mode="replicate"))
        return out


class SpaceToDepthUNet(nn.Module):
    """The function of a UNet, whose weights it copies. Takes and gives what the UNet does."""

    size_multiple: ClassVar[int] = UNet.size_multiple

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        self.inner = copy.deepcopy(unet)
        self.stem = pixel_shuffle_conv(unet.stem)[0]
        _swap(self.stem, channels=unet.stem.out_channels)
        self.down1 = SpaceToDepthConv(unet.down1, PIXELS[:1])
        self.upsample = SpaceToDepthUpsample(unet.conv3.out_channels)
        # Four kernels of 2 x 2 squares, one for each pixel, have half the weights and take as long with AMX;
        # without it OpenVINO 2026.4 computes those wrongly whose padding is all at the end (13 code values).
        self.up2 = SpaceToDepthConv(unet.up2, PIXELS)
        self.head = SpaceToDepthConv(unet.head, PIXELS)
        _swap(self.head.conv, channels=4)

    def forward(self, picture: Tensor) -> Tensor:
        """N x 3 x H x W in [-1, 1] in, the same out."""
        unet = self.inner
        full = activate(self.stem(picture))
        half = activate(unet.conv1(activate(self.down1(full))))
        quarter = activate(unet.conv2(activate(unet.down2(half))))
        quarter = activate(unet.narrow(unet.blocks(quarter)))
        half = activate(unet.up1(upsample(quarter) + half))
        half = activate(unet.conv3(half))
        full = activate(self.up2(self.upsample(half) + full))
        return F.pixel_shuffle(self.head(full), 2)


@torch.no_grad()
def _swap(conv: nn.Module, channels: int) -> None:
    """Reorders a convolution's outputs, in place, from `channels` groups to groups of `channels`."""
    for values in conv.parameters():
        groups = values.reshape(channels, -1, *values.shape[1:])
        values.copy_(groups.transpose(0, 1).reshape(values.shape))
