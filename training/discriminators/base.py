"""The interface of discriminators."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn


class Discriminator(nn.Module):
    """Maps a list of tensors to maps of scores, higher for real ones."""

    layers: ClassVar[tuple[str, ...]] = ()
    """The VGG-16 layers of its input. Without any, the input is the image."""

    def forward(self, seen: list[Tensor]) -> list[Tensor]:
        """Return maps of N x 1 x h x w for features of `layers`, or for one image N x 3 x H x W in [-1,
        1].
        """
        raise NotImplementedError


class ImageDiscriminator(Discriminator):
    """A discriminator of images in two halves. Its middle layer is between them."""

    def __init__(self, first: nn.Sequential, second: nn.Sequential) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, seen: list[Tensor]) -> list[Tensor]:
        """Return one map of scores for [N x 3 x H x W in [-1, 1]]."""
        return [self.second(self.middle_features(seen))]

    def middle_features(self, seen: list[Tensor]) -> Tensor:
        """Return the features of the middle layer: f_D in Eq. 8 of "Cartoon to human recovery with
        Cycle-GAN".
        """
        (image,) = seen
        features: Tensor = self.first(image)
        return features


def draw_normal(network: nn.Module, deviation: float = 0.02) -> None:
    """Initialise convolutions from N(0, deviation^2) without bias, as in pix2pix and CycleGAN."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0.0, deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
