"""Loading a style's generator with its weights in torch. Needs the packages torch and safetensors."""

from __future__ import annotations

import safetensors.torch
from torch import nn

from engines.errors import StyleError
from engines.generators import create
from engines.registry.style import Style


def load_network(style: Style) -> nn.Module:
    """Return the style's generator with its weights, in eval mode.

    Raises StyleError if the style has no weights or they do not fit the generator.
    """
    weights = style.weights  # raises StyleError for a style without weights
    network = create(style.generator)
    try:
        network.load_state_dict(safetensors.torch.load_file(weights))
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise StyleError(f"{style.weights} does not fit the generator {style.generator}") from error
    return network.eval()
