"""A discriminator of residual blocks: the second of "Cartoon to human recovery with Cycle-GAN" (v6).

Its figure is missing. According to the text it has residual blocks of two convolutions with a skip
connection, which halve the size and double the channels, after StyleGAN2's (Karras et al. 2020, Figure 7),
whose block this is. Scores are a map of patches, as in the discriminator that it replaces.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from training.discriminators.base import ImageDiscriminator


class DownBlock(nn.Module):
    """Two 3x3 convolutions parallel to a 1x1 one, half the size, twice the channels; the sum over sqrt 2."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, 3, 1, 1),
            nn.LeakyReLU(0.2),
        )
        self.skip = nn.Conv2d(channels, 2 * channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x H x W to N x 2C x H/2 x W/2. Every value is the mean of four: strides alone would
        alias.
        """
        # The skip is linear, so it may downsample first: the same values for a quarter of the work.
        out: Tensor = (F.avg_pool2d(self.body(x), 2) + self.skip(F.avg_pool2d(x, 2))) * 0.5**0.5
        return out


class ResidualDiscriminator(ImageDiscriminator):
    """A 1x1 convolution to 64 channels, three blocks, a 3x3 convolution and a score: N x 1 x H/8 x W/8.

    There is no normalization, as in StyleGAN2; weights are initialised after He et al. 2015. The middle layer
    follows the second block.
    """

    def __init__(self, channels: int = 64) -> None:
        c = channels
        super().__init__(
            nn.Sequential(nn.Conv2d(3, c, 1), nn.LeakyReLU(0.2), DownBlock(c), DownBlock(2 * c)),
            nn.Sequential(
                DownBlock(4 * c), nn.Conv2d(8 * c, 8 * c, 3, 1, 1), nn.LeakyReLU(0.2), nn.Conv2d(8 * c, 1, 1)
            ),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, 0.2)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
