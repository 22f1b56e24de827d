"""VGG-16's convolutions (Simonyan and Zisserman, 2015) as a frozen source of features."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from engines.errors import StreamtoonError

CONVOLUTIONS: dict[str, int] = {
    "conv1_1": 0, "conv1_2": 2,
    "conv2_1": 5, "conv2_2": 7,
    "conv3_1": 10, "conv3_2": 12, "conv3_3": 14,
    "conv4_1": 17, "conv4_2": 19, "conv4_3": 21,
    "conv5_1": 24, "conv5_2": 26, "conv5_3": 28,
}  # fmt: skip
"""Layer -> its index in torchvision's `features`, whose key names the weight file keeps."""

CHANNELS = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


class VGG16(nn.Module):
    """Features of a picture, layer by layer, up to the deepest one that is asked for.

    Reads a safetensors file with torchvision's key names (`features.N.weight`, `features.N.bias`).
    Raises StreamtoonError when the file is missing or is not that.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Path, deepest: str = "conv4_3") -> None:
        super().__init__()
        names = list(CONVOLUTIONS)[: list(CONVOLUTIONS).index(deepest) + 1]
        self.convolutions = nn.ModuleDict()
        try:
            state = load_file(weights)
            width = 3
            for name in names:
                conv = nn.Conv2d(width, CHANNELS[name[4]], 3, padding=1)
                for part in ("weight", "bias"):
                    value = state[f"features.{CONVOLUTIONS[name]}.{part}"]
                    getattr(conv, part).data.copy_(value.float())
                self.convolutions[name] = conv
                width = conv.out_channels
        except Exception as error:
            raise StreamtoonError(
                f"{weights}: not VGG-16's features as safetensors with torchvision's key names ({error})"
            ) from error
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, picture: Tensor, layers: tuple[str, ...], activated: bool = True) -> list[Tensor]:
        """Features of N x 3 x H x W RGB in [-1, 1] at the named layers, in the network's order.

        `activated`: after the layer's ReLU (relu1_2 for "conv1_2"), else before it.
        """
        x = ((picture + 1) / 2 - self.mean) / self.deviation
        features: list[Tensor] = []
        block = "1"
        for name, conv in self.convolutions.items():
            if name[4] != block:
                block = name[4]
                x = F.max_pool2d(x, 2)
            x = conv(x)
            raw, x = x, F.relu(x)
            if name in layers:
                features.append(x if activated else raw)
                if len(features) == len(layers):
                    break
        return features
