"""What every discriminator is."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn


class Discriminator(nn.Module):
    """Takes what it looks at as a list of tensors, gives maps of scores, higher for real."""

    layers: ClassVar[tuple[str, ...]] = ()
    """VGG-16 layers it looks at; none: it looks at the picture."""

    def forward(self, seen: list[Tensor]) -> list[Tensor]:
        """Features at `layers`, or one picture N x 3 x H x W in [-1, 1]; maps of N x 1 x h x w."""
        raise NotImplementedError


class ImageDiscriminator(Discriminator):
    """One that looks at pictures, in two halves: what lies between them is its middle layer."""

    def __init__(self, first: nn.Sequential, second: nn.Sequential) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, seen: list[Tensor]) -> list[Tensor]:
        """[N x 3 x H x W in [-1, 1]] to one map of scores."""
        return [self.second(self.middle_features(seen))]

    def middle_features(self, seen: list[Tensor]) -> Tensor:
        """The features of the middle layer: f_D in Eq. 8 of "Cartoon to human recovery with Cycle-GAN"."""
        (picture,) = seen
        features: Tensor = self.first(picture)
        return features


def draw_normal(network: nn.Module, deviation: float = 0.02) -> None:
    """Convolutions drawn from N(0, deviation^2) without bias: where pix2pix and CycleGAN start."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
