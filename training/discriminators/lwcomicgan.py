"""LWComicGAN's discriminator: spectrally normalised convolutions.

Yang et al., "LWComicGAN: A Lightweight Method for Realizing Scene Animation", give no further details; Figure
4 is missing. The layout is that of AnimeGAN (Chen et al. 2019), with which the paper compares itself: 3x3
convolutions, LeakyReLU of 0.2, 32 channels at full size, two downsampling steps, 256 channels at the end.
AnimeGAN's normalization layers are omitted: their statistics would connect every pixel with every score,
while the gradient penalty (Eq. 2) is for scores of separate patches. Spectral normalization replaces them.
"""

from __future__ import annotations

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from training.discriminators.base import ImageDiscriminator


class LWComicGANDiscriminator(ImageDiscriminator):
    """Seven 3x3 convolutions, the second and the fourth with stride 2: one map of N x 1 x H/4 x W/4.

    The middle layer is the fourth, 128 channels at a quarter of the size.
    """

    def __init__(self, channels: int = 32) -> None:
        c = channels
        super().__init__(
            nn.Sequential(
                *_layer(3, c), *_layer(c, 2 * c, 2), *_layer(2 * c, 4 * c), *_layer(4 * c, 4 * c, 2)
            ),
            nn.Sequential(
                *_layer(4 * c, 8 * c), *_layer(8 * c, 8 * c), spectral_norm(nn.Conv2d(8 * c, 1, 3, 1, 1))
            ),
        )


def _layer(taken: int, given: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    return spectral_norm(nn.Conv2d(taken, given, 3, stride, 1)), nn.LeakyReLU(0.2)
