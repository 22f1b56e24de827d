"""The generators, one network per file, known by name.

A generator is a `torch.nn.Module` that takes and gives N x 3 x H x W RGB in [-1, 1] and states in
`size_multiple` what H and W must be multiples of. Where `gains_from_int8` is true its quantized graph is
faster on CPUs: that takes convolutions in a row, without the pictures' own statistics between them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from engines.errors import StyleError

if TYPE_CHECKING:
    from torch import nn

GENERATORS: dict[str, str] = {
    "animegan": "engines.generators.animegan:AnimeGAN",
    "cartoon-to-human": "engines.generators.cartoon_to_human:CartoonToHuman",
    "cartoongan": "engines.generators.cartoongan:CartoonGAN",
    "cyclegan": "engines.generators.cyclegan:CycleGAN",
    "lite": "engines.generators.lite:Lite",
    "lwcomicgan": "engines.generators.lwcomicgan:LWComicGAN",
    "resnet18": "engines.generators.resnet18:ResNet18",
    "unet": "engines.generators.unet:UNet",
}
"""Name -> module:class. A text, not a class: naming the generators must not import torch."""


def find(name: str) -> type[nn.Module]:
    """The class of a generator. Raises StyleError for an unknown name and lists the known ones."""
    if name not in GENERATORS:
        raise StyleError(f"unknown generator {name!r}: known are {', '.join(sorted(GENERATORS))}")
    module, _, cls = GENERATORS[name].partition(":")
    network: type[nn.Module] = getattr(importlib.import_module(module), cls)
    return network


def create(name: str) -> nn.Module:
    """A freshly initialized generator. Raises StyleError as `find` does."""
    return find(name)()
