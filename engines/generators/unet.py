"""The FPT UNet, a small generator from "Anime Scene Generator from Real-world Scenario".

Le, Bui and Phan's thesis (FPT University) names a UNet-based generator with 1.48 M parameters and 5.6 MB,
without details. These numbers and its losses match the white-box cartoon generator (Wang and Yu, "Learning to
Cartoonize Using White-box Cartoon Representations", CVPR 2020), whose published layout this is: 1,467,075
parameters, 5.60 MiB in fp32.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2


def activate(x: Tensor) -> Tensor:
    """Apply the leaky ReLU."""
    return F.leaky_relu(x, SLOPE)


def upsample(x: Tensor) -> Tensor:
    """Double the size bilinearly."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class UNetResidualBlock(nn.Module):
    """Two 3x3 convolutions and an addition.

    There is no normalization, so nothing depends on the image's size.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map channels x H x W to the same shape."""
        out: Tensor = x + self.conv2(activate(self.conv1(x)))
        return out


class UNet(nn.Module):
    """Fully convolutional: two downsamplings, residual blocks, two bilinear upsamplings, additive skips.

    Maps N x 3 x H x W RGB in [-1, 1] to the same; H and W are multiples of `size_multiple`. The output may
    leave [-1, 1] slightly and is clipped when it becomes code values.

    The network starts as the identity (`start_as_identity`), so training needs no phase in which it learns to
    reconstruct: the first layer copies the image and its negative to six channels, which the leaky ReLUs and
    the skip at full size carry unchanged to the last layer.
    """

    size_multiple: ClassVar[int] = 4
    gains_from_int8: ClassVar[bool] = True

    def __init__(self, channels: int = 32, blocks: int = 4) -> None:
        super().__init__()
        c = channels
        self.stem = nn.Conv2d(3, c, 7, padding=3)
        self.down1 = nn.Conv2d(c, c, 3, stride=2, padding=1)
        self.conv1 = nn.Conv2d(c, 2 * c, 3, padding=1)
        self.down2 = nn.Conv2d(2 * c, 2 * c, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(2 * c, 4 * c, 3, padding=1)
        self.blocks = nn.Sequential(*(UNetResidualBlock(4 * c) for _ in range(blocks)))
        self.narrow = nn.Conv2d(4 * c, 2 * c, 3, padding=1)
        self.up1 = nn.Conv2d(2 * c, 2 * c, 3, padding=1)
        self.conv3 = nn.Conv2d(2 * c, c, 3, padding=1)
        self.up2 = nn.Conv2d(c, c, 3, padding=1)
        self.head = nn.Conv2d(c, 3, 7, padding=3)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, SLOPE)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        for block in self.blocks:
            with torch.no_grad():
                block.conv2.weight.mul_(0.1)  # type: ignore[union-attr, operator]
        self.start_as_identity()

    @torch.no_grad()
    def start_as_identity(self) -> None:
        """Overwrite six channels of four layers so that the network returns its input exactly.

        With f the leaky ReLU of slope s, f(f(x)) - f(f(-x)) = (1 + s^2) x for every x.
        """
        self.stem.weight[:6] = 0
        self.conv3.weight[:6] = 0
        self.up2.weight[:6] = 0
        self.head.weight.mul_(0.0)
        for color in range(3):
            self.stem.weight[color, color, 3, 3] = 1
            self.stem.weight[3 + color, color, 3, 3] = -1
            self.up2.weight[color, color, 1, 1] = 1
            self.up2.weight[3 + color, 3 + color, 1, 1] = 1
            self.head.weight[color, color, 3, 3] = 1 / (1 + SLOPE**2)
            self.head.weight[color, 3 + color, 3, 3] = -1 / (1 + SLOPE**2)

    def equalization_groups(self) -> list[tuple[list[nn.Conv2d], list[nn.Conv2d]]]:
        """Return the groups for `engines.quantization.equalization`."""
        blocks: list[UNetResidualBlock] = list(self.blocks)  # type: ignore[arg-type]
        return [
            ([self.stem, self.conv3], [self.down1, self.up2]),
            ([self.down1], [self.conv1]),
            ([self.conv1, self.narrow], [self.down2, self.up1]),
            ([self.down2], [self.conv2]),
            ([self.conv2, *(b.conv2 for b in blocks)], [*(b.conv1 for b in blocks), self.narrow]),
            *(([b.conv1], [b.conv2]) for b in blocks),
            ([self.up1], [self.conv3]),
            ([self.up2], [self.head]),
        ]

    def forward(self, picture: Tensor) -> Tensor:
        """Map N x 3 x H x W RGB in [-1, 1] to the same."""
        full = activate(self.stem(picture))
        half = activate(self.conv1(activate(self.down1(full))))
        quarter = activate(self.conv2(activate(self.down2(half))))
        quarter = activate(self.narrow(self.blocks(quarter)))
        half = activate(self.up1(upsample(quarter) + half))
        half = activate(self.conv3(half))
        full = activate(self.up2(upsample(half) + full))
        out: Tensor = self.head(full)
        return out
