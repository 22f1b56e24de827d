"""Before and after, side by side: what a training shows on its way and leaves in its style's folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from engines.errors import StreamtoonError
from training.data.pictures import list_pictures, read_picture, to_tensor
from training.data.structure import Image


@torch.no_grad()
def cartoon_of(generator: nn.Module, photo: Image) -> Image:
    """The bare generator's picture of a photo, whose sides are multiples of the generator's own."""
    device = next(generator.parameters()).device
    painted = generator(to_tensor([photo]).to(device))[0].float().cpu()
    code_values: Image = ((painted.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    return code_values


def before_after(generator: nn.Module, show: Path, count: int, height: int) -> Image:
    """The first `count` photos of the folder in one row, `height` pixels high, their cartoons under them."""
    columns = []
    for path in list_pictures(show)[:count]:
        photo = read_picture(path)
        width = round(photo.shape[1] * height / photo.shape[0]) // 8 * 8
        photo = np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        columns.append(np.vstack([photo, cartoon_of(generator, photo)]))
    return np.hstack(columns)


def write_picture(path: Path, picture: Image, quality: int = 85) -> None:
    """Writes RGB in the format of the path's suffix; `quality`, 0 to 100, is WebP's.

    Raises StreamtoonError when it cannot be written.
    """
    options = [cv2.IMWRITE_WEBP_QUALITY, quality] if path.suffix == ".webp" else []
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options):
        raise StreamtoonError(f"{path}: cannot be written; is the folder writable and the disk not full?")
