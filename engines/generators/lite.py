"""The lite generator: a fifth of the UNet's operations, made to be taught by one that is already trained.

The picture is folded by pixel unshuffling (Shi et al., "Real-Time Single Image and Video Super-Resolution
Using an Efficient Sub-Pixel Convolutional Neural Network", CVPR 2016): no convolution ever sees the full
grid, and most of the work is done at a quarter of the side. What it learns is the difference from the
picture, so flat parts come through in the picture's own values whatever the arithmetic.
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from engines.generators.unet import SLOPE, ResidualBlock

FOLD = 2


def _activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


class Lite(nn.Module):
    """Fully convolutional: one fold, one downsampling, residual blocks, one bilinear upsampling, one skip.

    Takes and gives N x 3 x H x W RGB in [-1, 1]; H and W are multiples of `size_multiple`. The output may
    leave [-1, 1] slightly: whoever makes code values of it clips. It starts as the identity.
    """

    size_multiple: ClassVar[int] = 4
    gains_from_int8: ClassVar[bool] = True

    def __init__(self, channels: int = 32, blocks: int = 4) -> None:
        super().__init__()
        c, folded = channels, 3 * FOLD**2
        self.stem = nn.Conv2d(folded, c, 3, padding=1)
        self.down = nn.Conv2d(c, 2 * c, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(2 * c) for _ in range(blocks)))
        self.narrow = nn.Conv2d(2 * c, c, 3, padding=1)
        self.join = nn.Conv2d(c, c, 3, padding=1)
        self.head = nn.Conv2d(c, folded, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, SLOPE)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.zeros_(self.head.weight)

    def forward(self, picture: Tensor) -> Tensor:
        """N x 3 x H x W in [-1, 1] in, the same out."""
        half = _activate(self.stem(F.pixel_unshuffle(picture, FOLD)))
        quarter = _activate(self.narrow(self.blocks(_activate(self.down(half)))))
        raised = F.interpolate(quarter, scale_factor=2.0, mode="bilinear", align_corners=False)
        half = _activate(self.join(raised + half))
        out: Tensor = picture + F.pixel_shuffle(self.head(half), FOLD)
        return out
