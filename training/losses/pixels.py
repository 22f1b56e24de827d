"""Losses on pixels: total variation, colour, and agreement between two sizes of one picture.

Pictures are N x 3 x H x W RGB in [-1, 1]; every loss is a mean, so that weights do not depend on sizes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

RGB_TO_YUV = ((0.299, 0.587, 0.114), (-0.14713, -0.28886, 0.436), (0.615, -0.51499, -0.10001))
"""BT.601 luma with the analogue U and V that LWComicGAN's colour loss takes."""


def total_variation(picture: Tensor) -> Tensor:
    """Mean absolute difference of neighbours: L_tv of the FPT thesis with the norm over both directions."""
    across = (picture[..., :, 1:] - picture[..., :, :-1]).abs().mean()
    down = (picture[..., 1:, :] - picture[..., :-1, :]).abs().mean()
    return across + down


def steps_apart(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference between the steps from pixel to pixel of both pictures.

    Where the target is flat this is total variation; where it has an edge or a line it asks for that line.
    A distance of colours alone hardly minds a texture that hides around the right mean.
    """
    difference = output - target
    return total_variation(difference)


def yuv(picture: Tensor) -> Tensor:
    """RGB in [-1, 1] as Y in [0, 1] and U, V around 0."""
    matrix = torch.tensor(RGB_TO_YUV, dtype=picture.dtype, device=picture.device)
    # Products and a sum, no matrix product: autocast would take that to bfloat16.
    return ((picture[:, None] + 1) / 2 * matrix[None, :, :, None, None]).sum(2)


def yuv_colour(output: Tensor, photo: Tensor) -> Tensor:
    """LWComicGAN's L_col (Eq. 5): L1 on luma, Huber on both chroma channels."""
    a, b = yuv(output), yuv(photo)
    return F.l1_loss(a[:, :1], b[:, :1]) + 2 * F.huber_loss(a[:, 1:], b[:, 1:], delta=0.1)


def half(picture: Tensor) -> Tensor:
    """The picture at half its size, every pixel the mean of four."""
    return F.avg_pool2d(picture, 2)
