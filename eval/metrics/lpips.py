"""Learned perceptual distance: R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang, "The unreasonable
effectiveness of deep features as a perceptual metric", CVPR 2018. Weights of version 0.1 on VGG-16.
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
"""The layers whose rectified features are compared."""

MINIMUM_SIDE = 16
"""Smallest side in pixels. A smaller image has no pixel left at the deepest layer."""

BATCH_PIXELS = 1 << 19
"""Pixels of one side of all pairs in a batch. Their features take half a gigabyte."""

_EPSILON = 1e-10


class LPIPS(nn.Module):
    """The network of the distance: VGG-16, with a weight for each channel of five of its layers.

    `vgg16` is a file with VGG-16's weights as `engines.pretrained.vgg.VGG` reads them. Without it,
    torchvision's weights are downloaded once. The weights of the channels come with torchmetrics. Raises
    StreamtoonError if either is not available.
    """

    def __init__(self, vgg16: Path | None = None, device: torch.device | str = "cpu") -> None:
        super().__init__()
        # VGG applies the authors' shift and scale of images in [-1, 1] itself.
        file = find_weights(FILES["vgg16"], vgg16)
        self.vgg = VGG("vgg16", file, LAYERS[-1])
        with file.open("rb") as stream:
            self.weights_sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            """SHA-256 of VGG-16's file."""
        self.heads = nn.ParameterList(read_heads())
        self.requires_grad_(False).eval()
        self.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return N distances of images N x 3 x H x W, RGB in [-1, 1], on the network's device."""
        features = self.vgg(torch.cat((a, b)), LAYERS)
        total = torch.zeros(len(a), device=a.device)
        for layer, head in zip(features, self.heads, strict=True):
            length = layer.square().sum(1, keepdim=True).sqrt()
            one, other = (layer / (length + _EPSILON)).chunk(2)
            total += torch.einsum("nchw,c->nhw", (one - other).square(), head).mean((1, 2))
        return total


def lpips(a: Image, b: Image, network: LPIPS) -> float:
    """Return the perceptual distance of two H x W x 3 images, RGB of 8 bits: 0 if equal, about 1 for noise.

    The images are not resized. Raises ValueError if the shapes differ or a side is shorter than 16.
    """
    return float(lpips_of([(a, b)], network)[0])


def lpips_of(
    pairs: Iterable[tuple[Image, Image]], network: LPIPS, *, tick: Callable[[], object] | None = None
) -> NDArray[np.float64]:
    """Return the distance of every pair, in order. Neighbouring pairs of one size form a batch.

    `tick` is called once per pair. Raises what `lpips` raises.
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
                f"shapes {a.shape} and {b.shape}, expected equal shapes H x W x 3 with sides >= "
                f"{MINIMUM_SIDE}"
            )
        if group and (
            group[0][0].shape != a.shape or (len(group) + 1) * a.shape[0] * a.shape[1] > BATCH_PIXELS
        ):
            finish()
        group.append(pair)
    finish()
    return np.array(distances, np.float64)


def _stacked(images: list[Image], network: LPIPS) -> Tensor:
    batch = torch.from_numpy(np.stack(images)).to(network.heads[0].device).permute(0, 3, 1, 2)
    return (batch.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def read_heads() -> list[Tensor]:
    """Return the nonnegative weights of each layer's channels, from the file in torchmetrics.

    Raises StreamtoonError if it is missing or not the expected file.
    """
    # The package is located without being imported, which would take longer than scoring a few images.
    spec = find_spec("torchmetrics")
    if spec is None or not spec.submodule_search_locations:
        raise StreamtoonError(
            f"LPIPS needs the weights in the package torchmetrics; install it with: {install_line('eval')}"
        )
    package = Path(spec.submodule_search_locations[0])
    path = package / "functional" / "image" / "lpips_models" / "vgg.pth"
    again = "reinstall torchmetrics with: pip install --force-reinstall 'torchmetrics>=1.4,<2'"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        heads = [state[f"lin{index}.model.1.weight"].float().flatten() for index in range(len(LAYERS))]
    except UNREADABLE as error:
        raise StreamtoonError(f"{path}: cannot read the weights of LPIPS; {again}") from error
    for layer, head in zip(LAYERS, heads, strict=True):
        if len(head) != CHANNELS[layer[4]] or not bool((head >= 0).all()):
            raise StreamtoonError(f"{path} does not have LPIPS's weights for VGG-16 ({layer}); {again}")
    return heads
