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
    "fields": "engines.generators.fields:Fields",
    "fields-lite": "engines.generators.fields_lite:FieldsLite",
    "lite": "engines.generators.lite:Lite",
    "lwcomicgan": "engines.generators.lwcomicgan:LWComicGAN",
    "resnet18": "engines.generators.resnet18:ResNet18",
    "unet": "engines.generators.unet:UNet",
}
"""Name -> module:class. A text, not a class: naming the generators must not import torch."""


FIELD_GENERATORS = ("fields", "fields-lite")
"""Those that give fields for looks: N x 24 x H x W samples in, N x 40 x H x W out
(`engines.imaging.field_blocks`)."""

MARGIN_PIXELS = 16
"""Pixels of mirrored picture around what a generator draws, cut off again: most of the fringe that zeros
beyond the border make of a flat picture is within so many."""
MARGIN_PIXELS_BY_GENERATOR = {"lwcomicgan": 24}
"""The same where a generator needs others."""


def margin_of(name: str) -> int:
    """Pixels that a generator, or a graph alone, draws around a picture; 0 where it gives fields."""
    return 0 if name in FIELD_GENERATORS else MARGIN_PIXELS_BY_GENERATOR.get(name, MARGIN_PIXELS)


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
