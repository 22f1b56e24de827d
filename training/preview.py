"""Before/after images, which training shows during a run and adds to the style's folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from engines.common.arrays import Image
from engines.common.image_files import list_images, read_image
from engines.imaging.field_blocks import BLOCK, FIELDS
from engines.looks.stills import draw_still
from training.data.tensors import to_tensor


@torch.no_grad()
def draw_photo(generator: nn.Module, photo: Image) -> Image:
    """Return the bare generator's image of a photo, whose sides are multiples of the generator's multiple.

    Fields are drawn in the default look. Sides are then multiples of a block.
    """
    device = next(generator.parameters()).device

    def run(pixels: Image) -> Image:
        return _codes(generator(to_tensor([pixels]).to(device)))

    makes_fields = getattr(generator, "channels", (3, 3))[1] == FIELDS
    return draw_still(run, photo) if makes_fields else run(photo)


def _codes(output: torch.Tensor) -> Image:
    """Convert 1 x C x H x W in [-1, 1] to H x W x C code values."""
    values = (output[0].float().cpu().clamp(-1, 1) + 1) * 127.5
    codes: Image = values.round().byte().permute(1, 2, 0).contiguous().numpy()
    return codes


def before_after(generator: nn.Module, show: Path, count: int, height: int) -> Image:
    """Return the first `count` photos of the folder in one row, with their cartoons below.

    `height` is in pixels, a multiple of the generator's `size_multiple`. Widths are rounded to one.
    """
    multiple = int(generator.size_multiple)  # type: ignore[arg-type]
    if getattr(generator, "channels", (3, 3))[1] == FIELDS:
        multiple *= BLOCK
    columns = []
    for path in list_images(show)[:count]:
        photo = read_image(path)
        width = max(1, round(photo.shape[1] * height / photo.shape[0] / multiple)) * multiple
        photo = np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        columns.append(np.vstack([photo, draw_photo(generator, photo)]))
    return np.hstack(columns)
