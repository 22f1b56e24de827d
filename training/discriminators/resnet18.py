"""The discriminator of the ResNet-18 migration GAN: a 70x70 PatchGAN of three blocks (section 4.2).

According to the paper it has three blocks of two convolutions, 64 channels after the first, doubled in every
block. The paper gives no kernels or strides. These have a receptive field of exactly 70 pixels and keep
PatchGAN's 4x4 convolutions of stride 2, one per block, and its step of 8 pixels from score to score:

        kernel   4  5 | 4  3 | 4  3 | 3
        stride   2  1 | 2  1 | 2  1 | 1     receptive field 1 + 3 + 8 + 6 + 8 + 12 + 16 + 16 = 70
"""

from __future__ import annotations

from torch import nn

from training.discriminators.base import ImageDiscriminator, draw_normal


class ResNet18Discriminator(ImageDiscriminator):
    """Three blocks and a 3x3 score, one map of N x 1 x H/8 x W/8. The middle layer follows the second block.

    Instance normalization follows all but the first and the last convolution, as in that paper's generator
    and in PatchGAN. It also preserves the signal's size when weights are clipped. H and W must be 16 or more.
    """

    def __init__(self, channels: int = 64) -> None:
        c = channels
        super().__init__(
            nn.Sequential(
                nn.Conv2d(3, c, 4, 2, 1), nn.LeakyReLU(0.2), *_normalised(c, c, 5),
                *_normalised(c, 2 * c, 4, 2), *_normalised(2 * c, 2 * c, 3),
            ),
            nn.Sequential(
                *_normalised(2 * c, 4 * c, 4, 2), *_normalised(4 * c, 4 * c, 3), nn.Conv2d(4 * c, 1, 3, 1, 1)
            ),
        )  # fmt: skip
        draw_normal(self)


def _normalised(taken: int, given: int, kernel: int, stride: int = 1) -> tuple[nn.Module, ...]:
    # No bias: the normalization would remove it.
    convolution = nn.Conv2d(taken, given, kernel, stride, (kernel - 1) // 2, bias=False)
    return convolution, nn.InstanceNorm2d(given), nn.LeakyReLU(0.2)
