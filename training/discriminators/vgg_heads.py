"""Small heads on frozen VGG-16 features: a discriminator with pretrained vision.

The idea of Projected GANs (Sauer et al. 2021): the difference between drawings and photographs is learned in
some hundred steps, while a discriminator without pretraining needs tens of thousands.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from training.discriminators.base import Discriminator

WIDTHS = (64, 128, 256)


class FeatureHeads(Discriminator):
    """One head per VGG level: 1x1 to 64 channels, 3x3, 1x1 to a score; spectrally normalised."""

    layers: ClassVar[tuple[str, ...]] = ("conv1_2", "conv2_2", "conv3_3")

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(
                spectral_norm(nn.Conv2d(width, 64, 1)),
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(64, 64, 3, 2 if level < 2 else 1, 1)),
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(64, 1, 1)),
            )
            for level, width in enumerate(WIDTHS)
        )

    def forward(self, seen: list[Tensor]) -> list[Tensor]:
        """Return maps of scores, one per level, higher for drawings.

        Features are scaled to unit mean per image: VGG's levels differ by orders of magnitude.
        """
        scores = []
        for head, feature in zip(self.heads, seen, strict=True):
            size = feature.detach().mean(dim=(1, 2, 3), keepdim=True) + 1e-3
            scores.append(head(feature / size))
        return scores
