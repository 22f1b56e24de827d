"""The hinge objective (Lim and Ye 2017; Miyato et al. 2018) over one or several maps of scores."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def hinge_discriminator(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """mean(max(0, 1 - D(real))) + mean(max(0, 1 + D(fake))), averaged over the maps."""
    total = sum(
        (F.relu(1 - r.float()).mean() + F.relu(1 + f.float()).mean()) for r, f in zip(real, fake, strict=True)
    )
    assert isinstance(total, Tensor)
    return total / len(real)


def hinge_generator(fake: list[Tensor]) -> Tensor:
    """-mean(D(fake)), averaged over the maps."""
    total = sum(-f.float().mean() for f in fake)
    assert isinstance(total, Tensor)
    return total / len(fake)
