"""Losses on pixels: total variation, colour, and agreement between two sizes of one image.

Images are N x 3 x H x W RGB in [-1, 1]. Every loss is a mean, so that weights do not depend on sizes, and is
computed in fp32 (float64 stays).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.losses.precision import to_fp32

RGB_TO_YUV = ((0.299, 0.587, 0.114), (-0.14713, -0.28886, 0.436), (0.615, -0.51499, -0.10001))
"""BT.601 luma with the analogue U and V of LWComicGAN's colour loss."""


def total_variation(image: Tensor) -> Tensor:
    """Return the mean absolute difference of neighbours, across plus down: the anisotropic total variation.

    The FPT thesis prints L_tv as || grad_x + grad_y ||, where steps of opposite sign would cancel along every
    second diagonal. The sum of both norms smooths in both directions.
    """
    image = to_fp32(image)
    across = (image[..., :, 1:] - image[..., :, :-1]).abs().mean()
    down = (image[..., 1:, :] - image[..., :-1, :]).abs().mean()
    return across + down


def gradient_distance(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference between the steps from pixel to pixel of both images.

    In flat areas of the target this is total variation; at an edge or a line it asks for that line. A
    distance of colours alone hardly penalizes a texture with the right mean.
    """
    return total_variation(to_fp32(output) - to_fp32(target))


def yuv(image: Tensor) -> Tensor:
    """Convert RGB in [-1, 1] to Y in [0, 1] and U, V around 0."""
    image = to_fp32(image)
    matrix = torch.tensor(RGB_TO_YUV, dtype=image.dtype, device=image.device)
    # Products and a sum instead of a matrix product, which autocast would compute in bfloat16.
    return ((image[:, None] + 1) / 2 * matrix[None, :, :, None, None]).sum(2)


def yuv_color(output: Tensor, photo: Tensor, threshold: float = 0.1) -> Tensor:
    """Return LWComicGAN's L_col (Eq. 5): L1 on luma plus Huber on both chroma channels.

    The paper prints no threshold for Huber's loss. Here it is 0.1, with U and V in about -0.5..0.5, and the
    loss is divided by it, so that large chroma differences count by their distance as luma does.
    """
    a, b = yuv(output), yuv(photo)
    chroma = F.huber_loss(a[:, 1:], b[:, 1:], delta=threshold) / threshold
    return F.l1_loss(a[:, :1], b[:, :1]) + 2 * chroma


def half_size(image: Tensor) -> Tensor:
    """Return the image at half its size. Every pixel is the mean of four."""
    return F.avg_pool2d(image, 2)
