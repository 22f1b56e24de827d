"""The discriminators, one network per file, with a registry of names.

`training.discriminators.base` describes their inputs and outputs.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.discriminators.base import Discriminator

DISCRIMINATORS: dict[str, str] = {
    "lwcomicgan": "training.discriminators.lwcomicgan:LWComicGANDiscriminator",
    "patchgan": "training.discriminators.patchgan:PatchGAN",
    "residual": "training.discriminators.residual:ResidualDiscriminator",
    "resnet18": "training.discriminators.resnet18:ResNet18Discriminator",
    "vgg-heads": "training.discriminators.vgg_heads:FeatureHeads",
    "white-box": "training.discriminators.white_box:WhiteBoxDiscriminator",
}
"""Name -> module:class. Text instead of classes, since checking a recipe must not import torch."""


def create(name: str) -> Discriminator:
    """Create a randomly initialised discriminator. `name` is one of `DISCRIMINATORS`, which recipes
    ensure.
    """
    module, _, cls = DISCRIMINATORS[name].partition(":")
    network: Discriminator = getattr(importlib.import_module(module), cls)()
    return network
