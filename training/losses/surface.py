"""The inputs of the two discriminators of the white-box representations: surface and texture."""

from __future__ import annotations

import torch
from torch import Tensor

from engines.imaging.guided_filter_torch import guided_filter


def surface(image: Tensor, radius: int = 4, eps: float = 4e-2) -> Tensor:
    """Return F_gf(I, I): the image smoothed by itself, N x 3 x H x W in [-1, 1] (He, Sun and Tang 2013).

    `eps` is for the range [-1, 1], which is 1e-2 for the range [0, 1] squared.
    """
    grey = (image * image.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    return guided_filter(grey, image, radius, eps)


def random_grey(image: Tensor, weights: Tensor) -> Tensor:
    """Return F_cs: the random colour shift, a grey image with random weights, as three channels.

    `weights` is N x 3 and positive; channels are mixed as (w . rgb) / sum(w).
    """
    mixed = weights / weights.sum(1, keepdim=True)
    grey = (image * mixed[:, :, None, None]).sum(1, keepdim=True)
    return grey.expand(-1, 3, -1, -1)


def draw_grey_weights(count: int, generator: torch.Generator) -> Tensor:
    """Return count x 3 random weights around luma's, (0.299, 0.587, 0.114) plus or minus 0.1, as in
    white-box.
    """
    centre = torch.tensor([0.299, 0.587, 0.114])
    return centre + (torch.rand(count, 3, generator=generator) * 2 - 1) * 0.1


def draw_color_mix(count: int, generator: torch.Generator) -> Tensor:
    """Return count x 3 x 3 random colour matrices: permuted channels, scaled by 0.7 to 1.3.

    A discriminator that sees every image through such a matrix can judge how colours are combined, but not
    which hue a film prefers. The generator therefore keeps the photograph's hues.
    """
    mixes = torch.zeros(count, 3, 3)
    for n in range(count):
        order = torch.randperm(3, generator=generator)
        mixes[n, torch.arange(3), order] = 0.7 + 0.6 * torch.rand(3, generator=generator)
    return mixes


def mix_colors(image: Tensor, mixes: Tensor) -> Tensor:
    """Apply each image's matrix, in [0, 1] so that black stays black."""
    # No matrix product: autocast would compute it in bfloat16, too coarse for the guided filter's variances.
    return ((image[:, None] + 1) / 2 * mixes[..., None, None]).sum(2) * 2 - 1
