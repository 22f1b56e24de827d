"""The convolutions of VGG-16 and VGG-19 (Simonyan and Zisserman, 2015) as a frozen feature extractor."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from engines.errors import StreamtoonError
from engines.pretrained.downloads import UNREADABLE

VGGName = Literal["vgg16", "vgg19"]

DEPTHS: dict[VGGName, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions in each of the five blocks (configurations D and E)."""

CHANNELS = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


def convolutions(name: VGGName) -> dict[str, int]:
    """Return layer -> index in torchvision's `features`, as in the keys of the weight files.

    Layers are conv1_1 to conv5_3 (VGG-16) or conv5_4 (VGG-19).
    """
    indices, index = {}, 0
    for block, depth in enumerate(DEPTHS[name], 1):
        for layer in range(1, depth + 1):
            indices[f"conv{block}_{layer}"] = index
            index += 2  # the convolution and its ReLU
        index += 1  # the pooling that closes the block
    return indices


class VGG(nn.Module):
    """Features of images at chosen layers, up to the deepest one that is needed.

    `weights` is a file with torchvision's keys (`features.N.weight`, `features.N.bias`): safetensors, or with
    any other suffix a file of `torch.save`, which is read without running code. Other keys, such as the
    classifier's, are ignored. Raises StreamtoonError if the file is missing or invalid, ValueError for an
    unknown layer.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, name: VGGName, weights: Path, deepest: str) -> None:
        super().__init__()
        names = list(convolutions(name))
        if deepest not in names:
            raise ValueError(f"{name} has no layer {deepest!r}; choose one of: {', '.join(names)}")
        self.convolutions = nn.ModuleDict()
        width = 3
        for layer in names[: names.index(deepest) + 1]:
            conv = nn.Conv2d(width, CHANNELS[layer[4]], 3, padding=1)
            self.convolutions[layer] = conv
            width = conv.out_channels
        _fill(self.convolutions, name, weights)
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1))
        self.requires_grad_(False)

    def forward(self, picture: Tensor, layers: tuple[str, ...], activated: bool = True) -> list[Tensor]:
        """Return the features of N x 3 x H x W RGB in [-1, 1] at the named layers, in the network's order.

        `activated`: after the layer's ReLU (relu1_2 for "conv1_2") instead of before it. Raises ValueError
        for a layer that does not exist or is deeper than `deepest`.
        """
        missing = [layer for layer in layers if layer not in self.convolutions]
        if missing:
            raise ValueError(f"no layer {missing[0]!r}; choose from: {', '.join(self.convolutions)}")
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


def _fill(convs: nn.ModuleDict, name: VGGName, weights: Path) -> None:
    title = f"VGG-{name[3:]}"
    indices = convolutions(name)
    wanted = {
        f"features.{indices[layer]}.{part}": value
        for layer, conv in convs.items()
        for part, value in conv.state_dict().items()
    }
    if not weights.is_file():
        raise StreamtoonError(f"{weights}: there is no such file; --{name} needs {title}'s weights")
    try:
        state = _read(weights, set(wanted))
    except (*UNREADABLE, SafetensorError) as error:
        raise StreamtoonError(
            f"{weights} cannot be read as weights; "
            f"--{name} needs {title}'s as safetensors or torchvision's .pth"
        ) from error
    allowed = {f"features.{index}.weight" for index in indices.values()}
    strange = sorted(key for key in state if key.startswith("features.") and key.endswith(".weight"))
    problems = [f"{key} is not one of its convolutions" for key in strange if key not in allowed]
    for key, value in wanted.items():
        found = state.get(key)
        if found is None:
            problems.append(f"{key} is missing")
        elif found.shape != value.shape:
            problems.append(f"{key} has shape {tuple(found.shape)}, expected {tuple(value.shape)}")
        else:
            value.copy_(found)
    if problems:
        raise StreamtoonError(
            f"{weights} does not contain {title}'s weights with torchvision's keys ({problems[0]})"
        )


def _read(weights: Path, wanted: set[str]) -> dict[str, Tensor]:
    """Return tensors by key; those of a safetensors file that are not needed are empty."""
    if weights.suffix != ".safetensors":
        state = torch.load(weights, map_location="cpu", weights_only=True)
        return {key: value for key, value in state.items() if isinstance(value, Tensor)}
    with safe_open(weights, framework="pt") as file:
        keys = file.keys()
        return {key: file.get_tensor(key) if key in wanted else torch.empty(0) for key in keys}
