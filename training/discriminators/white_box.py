"""The white-box patch discriminator: small, spectrally normalised, one score per patch."""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from training.discriminators.base import ImageDiscriminator


class WhiteBoxDiscriminator(ImageDiscriminator):
    """Three pairs of convolutions, the first of each with stride 2, then a 1x1 score (D_s and D_t).

    Wang and Yu 2020. The result is one map of N x 1 x H/8 x W/8. The middle layer follows the second pair.
    """

    def __init__(self, channels: int = 32) -> None:
        pairs: list[nn.Sequential] = []
        width = 3
        for level in range(3):
            c = channels * 2**level
            layers: list[nn.Module] = []
            for stride in (2, 1):
                layers += [spectral_norm(nn.Conv2d(width, c, 3, stride, 1)), nn.LeakyReLU(0.2)]
                width = c
            pairs.append(nn.Sequential(*layers))
        super().__init__(
            nn.Sequential(*pairs[:2]), nn.Sequential(pairs[2], spectral_norm(nn.Conv2d(width, 1, 1)))
        )
