"""A generator of fields with 8-bit input and output, for torch on GPUs and for TensorRT."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.export.tasks import FieldsTask


class FieldsNetwork(nn.Module):
    """A generator of fields with 8-bit input and output for a task (see `engines.imaging.field_blocks`)."""

    def __init__(self, generator: nn.Module, task: FieldsTask) -> None:
        """Wrap `generator`, which has one float type and is not copied."""
        super().__init__()
        self.task = task
        self.generator = generator

    def forward(self, blocks: Tensor) -> tuple[Tensor]:
        """Map N x rows x columns x 24 uint8 to N x rows x columns x 40 uint8, in a tuple like other graphs.

        A code value x is x / 127.5 - 1 for the generator, computed in fp32 and then cast to the generator's
        type.
        """
        weight = next(self.generator.parameters())
        samples = (blocks.float() - 127.5) * (1 / 127.5)
        fields: Tensor = self.generator(samples.permute(0, 3, 1, 2).to(weight.dtype)).float()
        codes = (fields * 127.5 + 127.5).round().clamp(0, 255)
        return (codes.permute(0, 2, 3, 1).to(torch.uint8),)
