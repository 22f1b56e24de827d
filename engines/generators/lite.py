"""The lite generator: a fifth of the UNet's operations, trained by distillation from a larger one.

Pixel unshuffling (Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
Convolutional Neural Network", CVPR 2016) folds 4 x 4 pixels into 48 channels. Every convolution works at a
quarter of each side, where 64 channels fill a matrix unit. Nothing is resized or concatenated, which took
more time than the convolutions. The network learns the difference from the image, so flat areas keep the
image's own values whatever the precision.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.generators.unet import SLOPE, UNetResidualBlock

FOLD = 4


class Lite(nn.Module):
    """Fully convolutional: pixel unshuffling, residual blocks at a quarter of each side, one skip connection.

    Maps N x 3 x H x W RGB in [-1, 1] to the same; H and W are multiples of `size_multiple`. The output may
    leave [-1, 1] slightly and is clipped when it becomes code values. The network starts as the identity.
    """

    size_multiple: ClassVar[int] = FOLD
    gains_from_int8: ClassVar[bool] = True

    def __init__(self, channels: int = 64, blocks: int = 4) -> None:
        super().__init__()
        c, folded = channels, 3 * FOLD**2
        self.stem = nn.Conv2d(folded, c, 3, padding=1)
        self.blocks = nn.Sequential(*(UNetResidualBlock(c) for _ in range(blocks)))
        self.head = nn.Conv2d(c, folded, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, SLOPE)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        for block in self.blocks:  # otherwise the loss has spikes at a useful learning rate
            with torch.no_grad():
                block.conv2.weight.mul_(0.1)  # type: ignore[union-attr, operator]
        nn.init.zeros_(self.head.weight)

    def equalization_groups(self) -> list[tuple[list[nn.Conv2d], list[nn.Conv2d]]]:
        """Return the groups for `engines.quantization.equalization`."""
        blocks: list[UNetResidualBlock] = list(self.blocks)  # type: ignore[arg-type]
        return [
            ([self.stem, *(b.conv2 for b in blocks)], [*(b.conv1 for b in blocks), self.head]),
            *(([b.conv1], [b.conv2]) for b in blocks),
        ]

    def forward(self, picture: Tensor) -> Tensor:
        """Map N x 3 x H x W RGB in [-1, 1] to the same."""
        features = F.leaky_relu(self.stem(F.pixel_unshuffle(picture, FOLD)), SLOPE)
        out: Tensor = picture + F.pixel_shuffle(self.head(self.blocks(features)), FOLD)
        return out
