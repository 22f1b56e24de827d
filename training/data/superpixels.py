"""Compute the structure of a photograph: superpixels, each filled with its mean colour.

The papers abstract an image into superpixels (Felzenszwalb and Huttenlocher 2004, then grouped by
similarity).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import felzenszwalb

from engines.common.arrays import Image
from training.data.segmentation import group

if TYPE_CHECKING:
    from torch import Tensor


def region_means(image: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return an image in which every pixel has the mean colour of its region; `labels` is H x W, 0..n-1."""
    flat = labels.ravel()
    counts = np.maximum(np.bincount(flat), 1)
    means = np.stack(
        [np.bincount(flat, image[..., c].ravel(), counts.size) / counts for c in range(image.shape[-1])], -1
    )
    return means[labels].astype(np.float32)


def felzenszwalb_regions(image: Image, scale: float = 60.0, minimum: int = 24) -> NDArray[np.int64]:
    """Return Felzenszwalb's regions in CIE Lab as H x W labels from 0. A larger `scale` gives larger
    regions.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    labels: NDArray[np.int64] = felzenszwalb(
        lab, scale=scale, sigma=0.4, min_size=minimum, channel_axis=-1
    ).astype(np.int64)
    return labels


def superpixels(image: Image, regions: int = 100) -> NDArray[np.int64]:
    """Group Felzenszwalb's regions by similarity until `regions` are left per 256 x 256 pixels.

    Returns H x W labels from 0. The FPT thesis gives no number: with 100, a face keeps its eyes and a meadow
    its tones.
    """
    found = felzenszwalb_regions(image)
    left = max(1, round(regions * found.size / (256 * 256)))
    return group(np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2LAB), np.uint8), found, left)


def superpixel_abstraction(output: Tensor) -> Tensor:
    """Return F_sr of the FPT thesis: every image of a batch with its superpixels in their mean colours.

    Input and output are N x 3 x H x W RGB in [-1, 1] on one device. There is no gradient.
    """
    import torch  # imported here, since superpixels need it for nothing else

    with torch.no_grad():
        pixels = ((output.detach().float().clamp(-1, 1) + 1) * 127.5 + 0.5).byte()
        images = pixels.permute(0, 2, 3, 1).cpu().numpy()
        # Felzenszwalb's algorithm takes two thirds of the time and releases the GIL.
        with ThreadPoolExecutor(max_workers=min(len(images), os.cpu_count() or 1)) as pool:
            painted = list(pool.map(_painted, images))
        batch = torch.from_numpy(np.stack(painted)).permute(0, 3, 1, 2) / 127.5 - 1
        return batch.to(output.device).contiguous(memory_format=torch.channels_last)


def _painted(image: Image) -> NDArray[np.float32]:
    image = np.ascontiguousarray(image)
    return region_means(image.astype(np.float32), superpixels(image))
