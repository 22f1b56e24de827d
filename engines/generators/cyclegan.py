"""CycleGAN's generator of nine residual blocks, as Li trains it on landscapes.

Li, "New Evaluation Method of Animation Image Transfer": an encoder of three convolutions, nine residual
blocks for images of 256x256, a decoder of two layers, and instance normalization throughout. Li gives no
widths and kernels; these are from Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks" (ICCV 2017, appendix): 7x7 to 64 channels, two 3x3 of stride 2, two transposed 3x3, and
7x7. The 7x7 and the residual convolutions see mirrored edges, as there.

11,383,427 parameters: 11.37 M weights, and gain and bias of every normalized channel instead of the
convolutions' biases, which instance normalization would remove.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from engines.generators.blocks import ConvNorm, Head, ResidualBlock, UpNorm


class CycleGAN(nn.Module):
    """Maps N x 3 x H x W RGB in [-1, 1] to the same; H and W are multiples of `size_multiple`."""

    size_multiple: ClassVar[int] = 8
    """Twice the factor 4 of two downsamplings: a map of one pixel cannot be mirrored and has no variance."""

    def __init__(self, channels: int = 64, blocks: int = 9) -> None:
        super().__init__()
        c = channels
        self.encoder = nn.Sequential(
            ConvNorm(3, c, 7, padding="reflect"),
            ConvNorm(c, 2 * c, stride=2),
            ConvNorm(2 * c, 4 * c, stride=2),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(4 * c) for _ in range(blocks)))
        self.decoder = nn.Sequential(UpNorm(4 * c, 2 * c), UpNorm(2 * c, c))
        self.head = Head(c)

    def forward(self, picture: Tensor) -> Tensor:
        """Map N x 3 x H x W RGB in [-1, 1] to the same."""
        out: Tensor = self.head(self.decoder(self.blocks(self.encoder(picture))))
        return out
