"""Crop images and stack them to tensors."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engines.common.arrays import Image


def to_tensor(images: list[Image]) -> Tensor:
    """Return RGB images of one size as N x 3 x H x W in [-1, 1], channels last."""
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return batch.contiguous(memory_format=torch.channels_last)


def random_crop(
    images: list[Image], size: int, smallest: float, generator: np.random.Generator
) -> list[NDArray[np.uint8]]:
    """Return the same random part of aligned images, at a random scale and flipped alike.

    `smallest` is the lowest scale, 0..1: images are reduced by up to this factor before they are cropped, so
    that a generator sees strokes and objects of many sizes. Images that are too small for the crop are
    enlarged.
    """
    height, width = images[0].shape[:2]
    scale = generator.uniform(smallest, 1.0)
    scale = max(scale, size / min(height, width))
    target = (max(size, round(width * scale)), max(size, round(height * scale)))
    top = int(generator.integers(target[1] - size + 1))
    left = int(generator.integers(target[0] - size + 1))
    flip = bool(generator.integers(2))
    crops = []
    for image in images:
        if target != (width, height):
            way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            image = np.asarray(cv2.resize(image, target, interpolation=way), np.uint8)
        crop = image[top : top + size, left : left + size]
        crops.append(np.ascontiguousarray(crop[:, ::-1] if flip else crop))
    return crops
