"""The generators by name, one network per file.

A generator is a `torch.nn.Module` that maps N x 3 x H x W RGB in [-1, 1] to the same. H and W must be
multiples of its `size_multiple`. If `gains_from_int8` is true, its quantized graph is faster on CPUs; that
needs consecutive convolutions without normalization by the image's statistics between them.
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
"""Name -> module:class, as a string, so that listing the names does not import torch."""


FIELD_GENERATORS = ("fields", "fields-lite")
"""Generators of fields: N x 24 x H x W samples in, N x 40 x H x W fields out
(`engines.imaging.field_blocks`)."""

REACH_BLOCKS = {"fields": 17, "fields-lite": 15}
"""How far a generator of fields sees, in blocks: fields depend on no block that is further away in any
direction. For 3 x 3 convolutions in a row, it is the sum of their dilations, times the stride before them."""

MARGIN_PIXELS = 16
"""Mirrored pixels around a generator's input, cut off again. Zero padding colours the border of a flat image,
mostly within this distance."""
MARGIN_PIXELS_BY_GENERATOR = {"lwcomicgan": 24}
"""Exceptions to `MARGIN_PIXELS`."""


def margin_of(name: str) -> int:
    """Return the margin of a generator, or of a graph without weights, in pixels; 0 for fields."""
    return 0 if name in FIELD_GENERATORS else MARGIN_PIXELS_BY_GENERATOR.get(name, MARGIN_PIXELS)


def find(name: str) -> type[nn.Module]:
    """Return the class of a generator. Raises StyleError, which lists the known names, for an unknown one."""
    if name not in GENERATORS:
        raise StyleError(f"unknown generator {name!r}; choose one of: {', '.join(sorted(GENERATORS))}")
    module, _, cls = GENERATORS[name].partition(":")
    network: type[nn.Module] = getattr(importlib.import_module(module), cls)
    return network


def create(name: str) -> nn.Module:
    """Return a randomly initialised generator. Raises StyleError for an unknown name."""
    return find(name)()
