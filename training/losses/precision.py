"""Convert the inputs of losses from half precision."""

from __future__ import annotations

import torch
from torch import Tensor


def to_fp32(x: Tensor) -> Tensor:
    """Return half types as float32. float32 and float64 stay, so that gradients can be checked in float64."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
