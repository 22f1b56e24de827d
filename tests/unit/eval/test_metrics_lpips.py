"""LPIPS against the equations in float64 and against torchmetrics' own arithmetic."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torchmetrics.functional.image.lpips import ScalingLayer, _normalize_tensor

from engines.common.arrays import Image
from engines.errors import StreamtoonError
from eval.metrics import lpips as module
from eval.metrics.lpips import LPIPS, lpips, lpips_of, read_heads

INDICES = (2, 7, 14, 21, 28)
"""Of the last convolution of each block among torchvision's layers."""


def stack() -> nn.Sequential:
    """VGG-16's convolutions one by one, as torchvision numbers them."""
    layers: list[nn.Module] = []
    width = 3
    for word in "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512".split():
        if word == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(width, int(word), 3, padding=1), nn.ReLU()]
            width = int(word)
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def plain() -> nn.Sequential:
    torch.manual_seed(0)
    network = stack()
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            assert layer.bias is not None
            nn.init.uniform_(layer.bias, -0.1, 0.1)
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def network(plain: nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> LPIPS:
    path = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    save_file({f"features.{key}": value for key, value in plain.state_dict().items()}, path)
    return LPIPS(path)


def picture(seed: int, height: int = 21, width: int = 34) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_hand(a: Image, b: Image, plain: nn.Sequential) -> float:
    """Equation 1 of the paper, value by value in float64."""
    heads = load_heads()
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    deep = stack().double()
    deep.load_state_dict(plain.state_dict())
    total = 0.0
    tensors = []
    for one in (a, b):
        values = (one.astype(np.float64) / 127.5 - 1 - shift) / scale
        x, seen = torch.from_numpy(values.transpose(2, 0, 1)[None]), []
        with torch.no_grad():
            for index, layer in enumerate(deep):
                x = layer(x)
                if index - 1 in INDICES:
                    seen.append(x[0].numpy())
        tensors.append(seen)
    for head, one, other in zip(heads, *tensors, strict=True):
        height, width = one.shape[1:]
        here = 0.0
        for i in range(height):
            for j in range(width):
                p, q = one[:, i, j], other[:, i, j]
                difference = p / (np.linalg.norm(p) + 1e-10) - q / (np.linalg.norm(q) + 1e-10)
                here += float(head @ difference**2)
        total += here / (height * width)
    return total


def load_heads() -> list[np.ndarray]:
    spec = importlib.util.find_spec("torchmetrics")
    assert spec and spec.origin
    path = Path(spec.origin).parent / "functional/image/lpips_models/vgg.pth"
    state = torch.load(path, map_location="cpu", weights_only=True)
    return [value.double().numpy().ravel() for _, value in sorted(state.items())]


def test_it_is_the_papers_equation(plain: nn.Sequential, network: LPIPS) -> None:
    a, b = picture(0), picture(1)
    assert lpips(a, b, network) == pytest.approx(by_hand(a, b, plain), rel=1e-4)


def test_torchmetrics_says_the_same(plain: nn.Sequential, network: LPIPS) -> None:
    # Its parts one by one: the whole of it wants torchvision for the very layers of `plain`.
    features = []
    for one in (picture(2), picture(3)):
        x = ScalingLayer()(torch.from_numpy(one).permute(2, 0, 1)[None].float() / 127.5 - 1)
        seen = []
        for index, layer in enumerate(plain):
            x = layer(x)
            if index - 1 in INDICES:
                seen.append(_normalize_tensor(x))
        features.append(seen)
    total = 0.0
    for head, one, other in zip(load_heads(), *features, strict=True):
        weight = torch.from_numpy(head).float().view(1, -1, 1, 1)
        total += float(nn.functional.conv2d((one - other) ** 2, weight).mean())
    assert lpips(picture(2), picture(3), network) == pytest.approx(total, rel=1e-4)


def test_batches_of_mixed_sizes_keep_their_order(network: LPIPS, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [(17, 20), (17, 20), (17, 20), (16, 16), (17, 20)]
    pairs = [(picture(n, *size), picture(n + 50, *size)) for n, size in enumerate(sizes)]
    ticks: list[int] = []
    alone = [lpips(a, b, network) for a, b in pairs]
    monkeypatch.setattr(module, "BATCH_PIXELS", 2 * 17 * 20)
    together = lpips_of(iter(pairs), network, tick=lambda: ticks.append(1))
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    assert len(ticks) == 5 and len(set(alone)) == 5


def test_equal_pictures_have_no_distance_and_the_order_of_two_does_not_matter(network: LPIPS) -> None:
    a, b = picture(4), picture(5)
    assert lpips(a, a, network) == 0
    assert lpips(a, b, network) == pytest.approx(lpips(b, a, network), rel=1e-6)
    assert lpips_of([], network).shape == (0,)


@pytest.mark.parametrize("other", [(21, 35, 3), (15, 34, 3), (21, 34, 4), (21, 34)])
def test_what_cannot_be_compared_is_said(network: LPIPS, other: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="H x W x 3 with sides >= 16"):
        lpips(picture(0), np.zeros(other, np.uint8), network)
    with pytest.raises(ValueError, match="sides >= 16"):
        lpips(np.zeros((15, 34, 3), np.uint8), np.zeros((15, 34, 3), np.uint8), network)


def test_the_heads_are_the_published_ones() -> None:
    data = os.environ.get("STREAMTOON_DATA")
    if not data:
        pytest.skip("STREAMTOON_DATA does not name a folder with LPIPS's heads")
    theirs = load_file(Path(data) / "weights" / "lpips_vgg_heads.safetensors")
    for index, head in enumerate(read_heads()):
        assert torch.equal(head, theirs[f"lin{index}.weight"].flatten())


def _elsewhere(place: Path, monkeypatch: pytest.MonkeyPatch, state: object) -> None:
    """A package that calls itself torchmetrics and has `state` where the heads lie."""
    folder = place / "torchmetrics" / "functional" / "image" / "lpips_models"
    folder.mkdir(parents=True)
    torch.save(state, folder / "vgg.pth")
    spec = importlib.util.spec_from_loader("torchmetrics", None, is_package=True)
    assert spec
    spec.submodule_search_locations = [str(place / "torchmetrics")]
    monkeypatch.setattr(module, "find_spec", lambda _: spec)


def test_heads_that_are_missing_or_others_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [torch.rand(1, n, 1, 1) for n in (64, 128, 256, 512, 512)]
    names = [f"lin{n}.model.1.weight" for n in range(5)]
    negative = [*good[:4], -good[4]]
    for n, state in enumerate(
        (dict(zip(names, good[::-1], strict=True)), dict(zip(names, negative, strict=True)))
    ):
        _elsewhere(tmp_path / str(n), monkeypatch, state)
        with pytest.raises(StreamtoonError, match=r"vgg.pth does not have LPIPS's weights .*pip install"):
            read_heads()
    _elsewhere(tmp_path / "list", monkeypatch, [1, 2])
    with pytest.raises(StreamtoonError, match=r"vgg.pth: cannot read the weights of LPIPS; reinstall"):
        read_heads()
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(StreamtoonError, match=r"pip install .*'torchmetrics>="):
        read_heads()


def test_blur_and_noise_are_told_by_real_weights() -> None:
    data = os.environ.get("STREAMTOON_DATA")
    if not data:
        pytest.skip("STREAMTOON_DATA does not name a folder with VGG-16's weights")
    import cv2
    import skimage.data

    network = LPIPS(Path(data) / "weights" / "vgg16_features_fp16.safetensors")
    photo = np.ascontiguousarray(skimage.data.astronaut()[:64, 180:276])
    distances = [
        lpips(photo, np.asarray(cv2.GaussianBlur(photo, (0, 0), sigma), np.uint8), network)
        for sigma in (0.5, 1, 2, 4)
    ]
    assert distances == sorted(distances) and 0 < distances[0] < 0.1 < distances[-1] < 1
