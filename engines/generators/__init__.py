"""The generators, one network per file, known by name.

A generator is a `torch.nn.Module` that takes and gives N x 3 x H x W RGB in [-1, 1] and states in
`size_multiple` what H and W must be multiples of.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from engines.errors import StyleError

if TYPE_CHECKING:
    from torch import nn

GENERATORS: dict[str, str] = {"unet": "engines.generators.unet:UNet"}
"""Name -> module:class. A text, not a class: naming the generators must not import torch."""


def create(name: str) -> nn.Module:
    """A freshly initialized generator.

    Raises StyleError for an unknown name and lists the known ones.
    """
    if name not in GENERATORS:
        raise StyleError(f"unknown generator {name!r}: known are {', '.join(sorted(GENERATORS))}")
    module, _, cls = GENERATORS[name].partition(":")
    network: nn.Module = getattr(importlib.import_module(module), cls)()
    return network
