"""The small generator of fields: strokes on blocks of 4 x 4 pixels, tone and direction on blocks of 8 x 8.

Its layers have the numbers of channels that int8 matrix units fill: 32 where there are many positions, 64 at
half the size, where a residual block costs a quarter. The coarse half is added back by repeating its samples
(the top-down path of Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017).
"""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from engines.generators.fields import DilatedBlock, start_from_frame
from engines.imaging.field_blocks import FIELDS, SAMPLES


class FieldsLite(nn.Module):
    """Maps samples to fields as `Fields` does, on an even number of rows and columns of blocks."""

    channels: ClassVar[tuple[int, int]] = (SAMPLES, FIELDS)
    size_multiple: ClassVar[int] = 2
    gains_from_int8: ClassVar[bool] = True

    def __init__(self, width: int = 32, coarse: int = 64, dilations: tuple[int, ...] = (1, 2)) -> None:
        super().__init__()
        self.stem = nn.Conv2d(SAMPLES, width, 3, padding=1)
        self.down = nn.Conv2d(width, coarse, 3, stride=2, padding=1)
        self.blocks = nn.Sequential(*(DilatedBlock(coarse, dilation) for dilation in dilations))
        self.up = nn.Conv2d(coarse, width, 1)
        self.join = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Conv2d(width, FIELDS, 3, padding=1)
        start_from_frame(self, self.blocks, self.head)

    def equalization_groups(self) -> list[tuple[list[nn.Conv2d], list[nn.Conv2d]]]:
        """Return the groups for `engines.quantization.equalization`."""
        blocks: list[DilatedBlock] = list(self.blocks)  # type: ignore[arg-type]
        return [
            ([self.stem, self.up], [self.down, self.join]),
            ([self.down, *(b.conv2 for b in blocks)], [*(b.conv1 for b in blocks), self.up]),
            *(([b.conv1], [b.conv2]) for b in blocks),
            ([self.join], [self.head]),
        ]

    def forward(self, samples: Tensor) -> Tensor:
        """Map N x 24 x H x W in [-1, 1] to N x 40 x H x W, which may leave [-1, 1] slightly."""
        fine = F.relu(self.stem(samples))
        coarse = self.up(self.blocks(F.relu(self.down(fine))))
        joined = F.relu(fine + F.interpolate(coarse, scale_factor=2, mode="nearest"))
        out: Tensor = self.head(F.relu(self.join(joined)))
        return out
