"""A faster form of the last convolution, which computes 2 x 2 pixels at a time.

Matrix units and vector registers work on 16 or more output channels at a time. An image has three, so a last
convolution at full size uses a fifth of them. A convolution of stride 2 that computes the twelve values of 2
x 2 pixels, followed by a pixel shuffle (Shi et al., CVPR 2016), needs a quarter of the steps. Its kernel is
one larger on each side and holds the original weights four times, shifted by a pixel down and to the right,
and zeros.
"""

from __future__ import annotations

import torch
from torch import nn

MAX_CHANNELS = 4
"""Most output channels of a convolution for which four times as many fit into 16."""


def use_pixel_shuffle_head(generator: nn.Module) -> None:
    """Replace, in place, convolutions at full size with at most `MAX_CHANNELS` output channels.

    A generator for odd heights or widths, according to its `size_multiple`, is left unchanged.
    """
    if int(getattr(generator, "size_multiple", 1)) % 2:
        return
    for holder in list(generator.modules()):
        for name, child in holder.named_children():
            if isinstance(child, nn.Conv2d) and _is_replaceable(child):
                setattr(holder, name, pixel_shuffle_conv(child))


def _is_replaceable(conv: nn.Conv2d) -> bool:
    side = conv.kernel_size[0]
    keeps_size = side % 2 == 1 and conv.kernel_size == (side, side) and conv.padding == (side // 2, side // 2)
    plain = conv.stride == (1, 1) and conv.dilation == (1, 1) and conv.groups == 1
    return keeps_size and plain and side > 1 and conv.out_channels <= MAX_CHANNELS


@torch.no_grad()
def pixel_shuffle_conv(conv: nn.Conv2d) -> nn.Sequential:
    """Return the fast form of a convolution, which computes the same for even heights and widths."""
    out_channels, in_channels, side, _ = conv.weight.shape
    wide = nn.Conv2d(
        in_channels,
        4 * out_channels,
        side + 1,
        stride=2,
        padding=conv.padding,  # type: ignore[arg-type]  # `_is_replaceable` checks that it is a pair
        padding_mode=conv.padding_mode,
        bias=conv.bias is not None,
    )
    weight = torch.zeros(out_channels, 2, 2, in_channels, side + 1, side + 1)
    for down in (0, 1):
        for right in (0, 1):
            weight[:, down, right, :, down : down + side, right : right + side] = conv.weight
    wide.weight.copy_(weight.reshape(wide.weight.shape))
    if conv.bias is not None:
        assert wide.bias is not None
        wide.bias.copy_(conv.bias.repeat_interleave(4))
    return nn.Sequential(wide, nn.PixelShuffle(2)).train(conv.training)
