"""The 70x70 PatchGAN of pix2pix and CycleGAN (Isola et al. 2017; Zhu et al. 2017).

It is also the first discriminator of "Cartoon to human recovery with Cycle-GAN", whose figure is missing.
"""

from __future__ import annotations

from torch import nn

from training.discriminators.base import ImageDiscriminator, draw_normal


class PatchGAN(ImageDiscriminator):
    """C64-C128-C256-C512 and a score: 4x4 convolutions with strides 2, 2, 2, 1, 1 and a border of 1.

    Instance normalization follows all but the first and the last; LeakyReLU has 0.2. The result is one map of
    N x 1 x (H/8 - 2) x (W/8 - 2), every score from 70 x 70 pixels: 1 + 3 (1 + 2 + 4 + 8 + 8). The middle
    layer is C256, the third of five. H and W must be 32 or more.
    """

    def __init__(self, channels: int = 64) -> None:
        c = channels
        super().__init__(
            nn.Sequential(
                nn.Conv2d(3, c, 4, 2, 1), nn.LeakyReLU(0.2), _block(c, 2 * c, 2), _block(2 * c, 4 * c, 2)
            ),
            nn.Sequential(_block(4 * c, 8 * c, 1), nn.Conv2d(8 * c, 1, 4, 1, 1)),
        )
        draw_normal(self)


def _block(taken: int, given: int, stride: int) -> nn.Sequential:
    # No bias: the normalization would remove it.
    convolution = nn.Conv2d(taken, given, 4, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.InstanceNorm2d(given), nn.LeakyReLU(0.2))
