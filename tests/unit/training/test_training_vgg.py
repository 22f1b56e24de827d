"""VGG-16 and VGG-19 against the plain stacks of layers, and files that are neither."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from engines.errors import StreamtoonError
from engines.pretrained.vgg import VGG, VGGName, convolutions

# Configurations D and E of the paper, M a pooling.
STACKS: dict[VGGName, str] = {
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}


def plain(name: VGGName) -> nn.Sequential:
    """The layers one by one, numbered as in torchvision's `features`."""
    layers: list[nn.Module] = []
    width = 3
    for word in STACKS[name].split():
        if word == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(width, int(word), 3, padding=1), nn.ReLU()]
            width = int(word)
    return nn.Sequential(*layers)


def normalised(picture: torch.Tensor) -> torch.Tensor:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    return ((picture + 1) / 2 - mean) / deviation


@pytest.fixture(scope="module", params=["vgg16", "vgg19"])
def stack(request: pytest.FixtureRequest) -> tuple[VGGName, nn.Sequential]:
    """Random weights of a size that keeps activations alive down to conv5."""
    torch.manual_seed(0)
    network = plain(request.param)
    for module in network:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            assert module.bias is not None
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return request.param, network.requires_grad_(False)


def state_of(network: nn.Sequential, below: int = 100) -> dict[str, torch.Tensor]:
    return {
        f"features.{key}": value
        for key, value in network.state_dict().items()
        if int(key.split(".")[0]) < below
    }


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".old.pth"])
def test_features_are_those_of_the_plain_stack(
    tmp_path: Path, stack: tuple[VGGName, nn.Sequential], suffix: str
) -> None:
    name, network = stack
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(state_of(network), path)
    else:  # torchvision's own files are in torch's format before 1.6, and carry the classifier
        whole = {**state_of(network), "classifier.0.weight": torch.zeros(4, 4)}
        torch.save(whole, path, _use_new_zipfile_serialization=suffix == ".pth")
    deepest = list(convolutions(name))[-1]
    vgg = VGG(name, path, deepest)
    picture = torch.rand(1, 3, 48, 32) * 2 - 1
    layers = ("conv1_2", "conv3_3", "conv4_1", deepest)
    raw, rectified = [], []
    x, at = normalised(picture), 0
    for module in network:
        x = module(x)
        if isinstance(module, nn.Conv2d):
            at += 1
            block_layer = list(convolutions(name))[at - 1]
            if block_layer in layers:
                raw.append(x)
                rectified.append(x.relu())
    assert at == (13 if name == "vgg16" else 16)
    for got, expected in zip(vgg(picture, layers), rectified, strict=True):
        torch.testing.assert_close(got, expected)
    for got, expected in zip(vgg(picture, layers, activated=False), raw, strict=True):
        torch.testing.assert_close(got, expected)
    assert not any(p.requires_grad for p in vgg.parameters())


def test_indices_are_torchvisions() -> None:
    for name in STACKS:
        layers = plain(name)
        where = [at for at, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
        assert list(convolutions(name).values()) == where
    assert [*convolutions("vgg16")][-4:] == ["conv4_3", "conv5_1", "conv5_2", "conv5_3"]
    assert convolutions("vgg19")["conv4_4"] == 25


def test_nothing_deeper_is_held_needed_or_computed(tmp_path: Path) -> None:
    path = tmp_path / "shallow.safetensors"
    save_file(state_of(plain("vgg19"), below=10), path)
    vgg = VGG("vgg19", path, "conv2_2")
    assert sum(p.numel() for p in vgg.parameters()) == 1792 + 36928 + 73856 + 147584
    called: list[str] = []
    for name, conv in vgg.convolutions.items():
        conv.register_forward_hook(lambda *_, name=name: called.append(name))
    vgg(torch.zeros(1, 3, 8, 8), ("conv1_2",))
    assert called == ["conv1_1", "conv1_2"]
    with pytest.raises(ValueError, match=r"no layer 'conv3_1'; choose from: conv1_1, conv1_2"):
        vgg(torch.zeros(1, 3, 8, 8), ("conv1_2", "conv3_1"))
    with pytest.raises(ValueError, match=r"vgg19 has no layer 'conv9_1'"):
        VGG("vgg19", path, "conv9_1")


def test_gradients_reach_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "shallow.safetensors"
    save_file(state_of(plain("vgg16"), below=5), path)
    vgg = VGG("vgg16", path, "conv1_2").double()
    picture = (torch.rand(1, 3, 3, 3, dtype=torch.float64) * 2 - 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: vgg(x, ("conv1_2",), False)[0], (picture,), fast_mode=True)


class Harm:
    """What a stranger's pickle may do: here it would make a folder."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_files_that_are_not_vgg_are_one_sentence(tmp_path: Path) -> None:
    def refused(path: Path, name: VGGName, match: str) -> None:
        with pytest.raises(StreamtoonError, match=match) as caught:
            VGG(name, path, "conv2_1")
        assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))

    refused(tmp_path / "none.safetensors", "vgg16", "there is no such file; --vgg16 needs VGG-16's")
    refused(tmp_path, "vgg19", "there is no such file")
    for suffix in (".safetensors", ".pth"):
        text = tmp_path / f"text{suffix}"
        text.write_bytes(b"hello, these are no weights")
        refused(text, "vgg19", "cannot be read as weights; --vgg19 needs VGG-19's as")
        empty = tmp_path / f"empty{suffix}"
        empty.write_bytes(b"")
        refused(empty, "vgg16", "cannot be read as weights")
    good = tmp_path / "good.pth"
    torch.save(state_of(plain("vgg16"), below=10), good)
    cut = tmp_path / "cut.pth"
    cut.write_bytes(good.read_bytes()[:100_000])
    refused(cut, "vgg16", "cannot be read as weights")
    torch.save({"features.0.weight": Harm(tmp_path / "harmed")}, tmp_path / "harm.pth")
    refused(tmp_path / "harm.pth", "vgg16", "cannot be read as weights")
    assert not (tmp_path / "harmed").exists()
    torch.save([1, 2], tmp_path / "list.pth")
    refused(tmp_path / "list.pth", "vgg16", "cannot be read as weights")


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    sixteen, path = state_of(plain("vgg16"), below=20), tmp_path / "w.safetensors"

    def refused(state: dict[str, torch.Tensor], name: VGGName, match: str) -> None:
        save_file(state, path)
        with pytest.raises(StreamtoonError, match=match):
            VGG(name, path, "conv3_1")

    refused(sixteen, "vgg19", r"VGG-19's weights .*\(features.17.weight is not one of its convolutions\)")
    refused({"conv1_1.weight": torch.zeros(1)}, "vgg16", r"\(features.0.weight is missing\)")
    wrong = {**sixteen, "features.2.weight": torch.zeros(64, 3, 1, 1)}
    refused(wrong, "vgg16", r"\(features.2.weight has shape \(64, 3, 1, 1\), expected \(64, 64, 3, 3\)\)")


def test_real_weights_see_edges_and_objects() -> None:
    data = os.environ.get("STREAMTOON_DATA")
    if not data:
        pytest.skip("STREAMTOON_DATA does not name a folder with VGG-16's weights")
    path = Path(data) / "weights" / "vgg16_features_fp16.safetensors"
    network = plain("vgg16")
    network.load_state_dict({k.removeprefix("features."): v.float() for k, v in load_file(path).items()})
    picture = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        (got,) = VGG("vgg16", path, "conv5_3")(picture, ("conv5_3",))
        expected = network[:30](normalised(picture))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
