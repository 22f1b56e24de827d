"""Before and after, side by side: what a training shows on its way and leaves in its style's folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from engines.picture_files import Image, list_pictures, read_picture
from training.data.pictures import to_tensor


@torch.no_grad()
def cartoon_of(generator: nn.Module, photo: Image) -> Image:
    """The bare generator's picture of a photo, whose sides are multiples of the generator's own."""
    device = next(generator.parameters()).device
    painted = generator(to_tensor([photo]).to(device))[0].float().cpu()
    code_values: Image = ((painted.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    return code_values


def before_after(generator: nn.Module, show: Path, count: int, height: int) -> Image:
    """The first `count` photos of the folder in one row, their cartoons under them.

    `height` is in pixels, a multiple of the generator's `size_multiple`; widths are made such.
    """
    multiple = int(generator.size_multiple)  # type: ignore[arg-type]
    columns = []
    for path in list_pictures(show)[:count]:
        photo = read_picture(path)
        width = max(1, round(photo.shape[1] * height / photo.shape[0] / multiple)) * multiple
        photo = np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        columns.append(np.vstack([photo, cartoon_of(generator, photo)]))
    return np.hstack(columns)
