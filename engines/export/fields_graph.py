"""A generator of fields from 8-bit blocks to 8-bit fields: what torch runs on a GPU and TensorRT builds."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.export.tasks import FieldsTask


class FieldsNetwork(nn.Module):
    """A generator of fields between bytes, for one task. Blocks and fields are
    `engines.imaging.field_blocks`' own.
    """

    def __init__(self, generator: nn.Module, task: FieldsTask) -> None:
        """`generator` is in one float type and is taken as it is, not copied."""
        super().__init__()
        self.task = task
        self.generator = generator

    def forward(self, blocks: Tensor) -> tuple[Tensor]:
        """N x rows x columns x 24 uint8 to N x rows x columns x 40 uint8, in a tuple as of other graphs.

        Code value x is x / 127.5 - 1 to the generator, in fp32 until it is in the generator's own type.
        """
        weight = next(self.generator.parameters())
        samples = (blocks.float() - 127.5) * (1 / 127.5)
        fields: Tensor = self.generator(samples.permute(0, 3, 1, 2).to(weight.dtype)).float()
        codes = (fields * 127.5 + 127.5).round().clamp(0, 255)
        return (codes.permute(0, 2, 3, 1).to(torch.uint8),)
