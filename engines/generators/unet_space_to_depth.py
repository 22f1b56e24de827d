"""The UNet in the form that is fastest in integers: its layers at full size work on 2 x 2 pixels at a time.

At full size the UNet has 32 channels, which fill half of an integer matrix unit, and memory takes longer than
arithmetic. Pixel unshuffling (Shi et al., CVPR 2016) folds them to 128 channels at half of each side. Then
the convolution after the bilinear upsampling has a small input, the upsampling itself is a convolution, and
adding the skip needs no separate pass. The function is the same up to rounding. It has more multiplications
by zero, which cost time in float but not in integers. int8 at 640x360 on one core, relative to the original
form: 0.83 of the time with AMX, 0.80 with AVX-512 VNNI, 0.88 with AVX-VNNI, and 1.13 with AVX2 only.

Folded channels are ordered by pixel: all channels of the upper left pixels, then of the upper right, lower
left and lower right ones.
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
"""Row and column of each pixel in a square of 2 x 2."""


class SpaceToDepthConv(nn.Module):
    """A convolution over folded images, N x 4C x h x w, that computes some of the pixels of each square.

    The output is N x (number of pixels * output channels) x h x w. The convolution has an odd kernel and
    keeps the size.
    """

    def __init__(self, conv: nn.Conv2d, pixels: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        out_channels, in_channels, side, _ = conv.weight.shape
        reach = side // 2
        # Offsets, in squares, of the first and last squares that the outputs of a square depend on.
        first = [min((p[axis] - reach) // 2 for p in pixels) for axis in (0, 1)]
        last = [max((p[axis] + reach) // 2 for p in pixels) for axis in (0, 1)]
        kernel = (last[0] - first[0] + 1, last[1] - first[1] + 1)
        weight = torch.zeros(len(pixels), out_channels, 2, 2, in_channels, *kernel)
        for at, (down, right) in enumerate(pixels):
            for row in range(side):
                for column in range(side):
                    y, x = down + row - reach, right + column - reach
                    weight[at, :, y % 2, x % 2, :, y // 2 - first[0], x // 2 - first[1]] = conv.weight[
                        :, :, row, column
                    ]
        assert conv.bias is not None
        self.border = (-first[1], last[1], -first[0], last[0])
        self.conv = nn.Conv2d(4 * in_channels, len(pixels) * out_channels, kernel)
        with torch.no_grad():
            self.conv.weight.copy_(weight.reshape(self.conv.weight.shape))
            self.conv.bias.copy_(conv.bias.repeat(len(pixels)))  # type: ignore[union-attr]

    def forward(self, x: Tensor) -> Tensor:
        """Map N x 4C x h x w to the output."""
        out: Tensor = self.conv(F.pad(x, self.border))
        return out


class SpaceToDepthUpsample(nn.Module):
    """Doubles the size bilinearly, folded: a 3 x 3 convolution from N x C x h x w to N x 4C x h x w.

    A pixel is a quarter of the distance from the centre of its square to the next one, so it has 3/4 of its
    own square's value and 1/4 of the neighbour's in each direction. Values at the border are repeated.
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
        """Map N x C x h x w to N x 4C x h x w."""
        out: Tensor = self.conv(F.pad(x, (1, 1, 1, 1), mode="replicate"))
        return out


class SpaceToDepthUNet(nn.Module):
    """Computes the same as a UNet, whose weights it copies."""

    size_multiple: ClassVar[int] = UNet.size_multiple

    def __init__(self, unet: UNet) -> None:
        super().__init__()
        self.inner = copy.deepcopy(unet)
        self.stem = pixel_shuffle_conv(unet.stem)[0]
        _swap(self.stem, channels=unet.stem.out_channels)
        self.down1 = SpaceToDepthConv(unet.down1, PIXELS[:1])
        self.upsample = SpaceToDepthUpsample(unet.conv3.out_channels)
        # Four kernels of 2 x 2 squares, one per pixel, have half the weights and take the same time with AMX.
        # But without AMX, OpenVINO 2026.4 computes padding at the end only wrongly (by up to 13 code values).
        self.up2 = SpaceToDepthConv(unet.up2, PIXELS)
        self.head = SpaceToDepthConv(unet.head, PIXELS)
        _swap(self.head.conv, channels=4)

    def forward(self, picture: Tensor) -> Tensor:
        """Map N x 3 x H x W RGB in [-1, 1] to the same."""
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
    """Reorder a convolution's output channels, in place, from `channels` groups to groups of `channels`."""
    for values in conv.parameters():
        groups = values.reshape(channels, -1, *values.shape[1:])
        values.copy_(groups.transpose(0, 1).reshape(values.shape))
