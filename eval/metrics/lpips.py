"""Learned perceptual distance: R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang, "The unreasonable
effectiveness of deep features as a perceptual metric", CVPR 2018. Version 0.1 of its weights, on VGG-16.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engines.common.arrays import Image
from engines.common.extras import install_line
from engines.errors import StreamtoonError
from engines.pretrained.downloads import FILES, UNREADABLE, find_weights
from engines.pretrained.vgg import CHANNELS, VGG

LAYERS = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")
"""Their rectified features are compared."""

MINIMUM_SIDE = 16
"""Below it nothing is left at the deepest layer."""

BATCH_PIXELS = 1 << 19
"""Pixels of a batch, one side of its pairs counted: the features that are held take half a gigabyte."""

_EPSILON = 1e-10


class LPIPS(nn.Module):
    """The network behind the distance: VGG-16, and a weight for each channel of five of its layers.

    `vgg16` is a file with VGG-16's weights as `engines.pretrained.vgg.VGG` reads them; without one
    torchvision's are downloaded once. The heads come with torchmetrics. Raises StreamtoonError where either
    cannot be had.
    """

    def __init__(self, vgg16: Path | None = None, device: torch.device | str = "cpu") -> None:
        super().__init__()
        # The authors' shift and scale of pictures in [-1, 1] are what VGG itself does to them.
        file = find_weights(FILES["vgg16"], vgg16)
        self.vgg = VGG("vgg16", file, LAYERS[-1])
        with file.open("rb") as stream:
            self.weights_sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            """Of VGG-16's file."""
        self.heads = nn.ParameterList(read_heads())
        self.requires_grad_(False).eval()
        self.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """N distances of pictures N x 3 x H x W, RGB in [-1, 1], on the network's device."""
        features = self.vgg(torch.cat((a, b)), LAYERS)
        total = torch.zeros(len(a), device=a.device)
        for layer, head in zip(features, self.heads, strict=True):
            length = layer.square().sum(1, keepdim=True).sqrt()
            one, other = (layer / (length + _EPSILON)).chunk(2)
            total += torch.einsum("nchw,c->nhw", (one - other).square(), head).mean((1, 2))
        return total


def lpips(a: Image, b: Image, network: LPIPS) -> float:
    """Perceptual distance of two pictures H x W x 3, RGB of 8 bits; 0 for equal ones, about 1 for noise.

    At their own size. Raises ValueError when the shapes differ or a side is shorter than 16.
    """
    return float(lpips_of([(a, b)], network)[0])


def lpips_of(
    pairs: Iterable[tuple[Image, Image]], network: LPIPS, *, tick: Callable[[], object] | None = None
) -> NDArray[np.float64]:
    """The distance of every pair, in order; neighbours of one size are computed together.

    `tick` is called once a pair. Raises what `lpips` raises.
    """
    distances: list[float] = []
    group: list[tuple[Image, Image]] = []

    def finish() -> None:
        if group:
            a, b = (_stacked([pair[side] for pair in group], network) for side in (0, 1))
            distances.extend(network(a, b).tolist())
            for _ in group:
                if tick:
                    tick()
            group.clear()

    for pair in pairs:
        a, b = pair
        if a.shape != b.shape or a.ndim != 3 or a.shape[2] != 3 or min(a.shape[:2]) < MINIMUM_SIDE:
            raise ValueError(
                f"shapes {a.shape} and {b.shape}, expected H x W x 3, equal, both sides >= {MINIMUM_SIDE}"
            )
        if group and (
            group[0][0].shape != a.shape or (len(group) + 1) * a.shape[0] * a.shape[1] > BATCH_PIXELS
        ):
            finish()
        group.append(pair)
    finish()
    return np.array(distances, np.float64)


def _stacked(pictures: list[Image], network: LPIPS) -> Tensor:
    batch = torch.from_numpy(np.stack(pictures)).to(network.heads[0].device).permute(0, 3, 1, 2)
    return (batch.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def read_heads() -> list[Tensor]:
    """The weights of each layer's channels, none of them negative, from the file that torchmetrics brings.

    Raises StreamtoonError where it is missing or is another.
    """
    # Its place is asked for without importing it, which takes longer than scoring a few pictures.
    spec = find_spec("torchmetrics")
    if spec is None or not spec.submodule_search_locations:
        raise StreamtoonError(
            f"LPIPS needs the weights in the package torchmetrics; run: {install_line('eval')}"
        )
    package = Path(spec.submodule_search_locations[0])
    path = package / "functional" / "image" / "lpips_models" / "vgg.pth"
    again = "install torchmetrics again: pip install --force-reinstall 'torchmetrics>=1.4,<2'"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        heads = [state[f"lin{index}.model.1.weight"].float().flatten() for index in range(len(LAYERS))]
    except UNREADABLE as error:
        raise StreamtoonError(f"{path}: LPIPS's weights cannot be read there; {again}") from error
    for layer, head in zip(LAYERS, heads, strict=True):
        if len(head) != CHANNELS[layer[4]] or not bool((head >= 0).all()):
            raise StreamtoonError(f"{path}: not LPIPS's weights for VGG-16 ({layer}); {again}")
    return heads
