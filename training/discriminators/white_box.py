"""The white-box patch discriminator: small, spectrally normalised, one score per patch."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Three pairs of convolutions, the first of each with stride 2, then a 1x1 score (D_s and D_t).

    N x 3 x H x W in [-1, 1] to a list with one N x 1 x H/8 x W/8 map of scores.
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for level in range(3):
            c = channels * 2**level
            for stride in (2, 1):
                layers += [spectral_norm(nn.Conv2d(width, c, 3, stride, 1)), nn.LeakyReLU(0.2)]
                width = c
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(width, 1, 1)))

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Scores, higher for drawings."""
        return [self.layers(picture)]
