"""Inception against layers written out one by one, and against the script that publishes its weights."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest
import torch
from plain_inception import Plain, State, pictures, random_state

from engines.errors import StreamtoonError
from eval.features.extract import extract, inception_input
from eval.features.inception import TORCHSCRIPT_SHA256, Inception, load_inception
from eval.features.inception_layout import script_names


@pytest.fixture(scope="module")
def state() -> State:
    return random_state()


@pytest.fixture(scope="module")
def network(state: State, tmp_path_factory: pytest.TempPathFactory) -> Inception:
    path = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(state, path)
    return load_inception(path)


def test_features_and_logits_are_those_of_the_plain_layers(network: Inception, state: State) -> None:
    # Odd sides of every stage: 107 -> 53, 51, 25, 23, 11, 5, 2. What pads wrongly shows at borders.
    x = torch.rand(2, 3, 107, 121, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        expected = Plain(state).features(x.double())
    got = network.features(x)
    assert got.shape == (2, 2048) and got.dtype == torch.float32
    torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    unbiased = expected @ state["fc.weight"].double().T
    torch.testing.assert_close(network.logits(got).double(), unbiased, rtol=1e-3, atol=1e-3)
    assert network.has_classifier and len(network.weights_sha256) == 64
    assert not any(weight.requires_grad for weight in network.parameters())


def test_without_a_classifier_there_are_features_only(state: State) -> None:
    bare = Inception({key: value for key, value in state.items() if not key.startswith("fc.")}, "0" * 64)
    assert not bare.has_classifier
    with pytest.raises(ValueError, match="no classifier"):
        bare.logits(torch.zeros(1, 2048))
    with pytest.raises(ValueError, match="no classifier"):
        extract([], bare, None, probabilities=True)


def test_files_that_are_not_inception_are_one_sentence(state: State, tmp_path: Path) -> None:
    def refused(path: Path, match: str) -> None:
        with pytest.raises(StreamtoonError, match=match) as caught:
            load_inception(path)
        assert "\n" not in str(caught.value) and str(caught.value).startswith(str(path))

    refused(tmp_path / "none.pth", "does not exist; give --inception")
    text = tmp_path / "text.pth"
    text.write_bytes(b"hello, these are no weights")
    refused(text, "not a readable file of weights; give --inception pytorch-fid's pt_inception-2015")
    path = tmp_path / "other.pth"
    torch.save([1, 2], path)
    refused(path, "not a readable file of weights")
    torch.save({**state, "fc.weight": torch.zeros(1000, 2048)}, path)  # torchvision's own Inception
    refused(path, r"\(fc.weight is \(1000, 2048\), not \(1008, 2048\)\)")
    torch.save({key: value for key, value in state.items() if key != "Mixed_7c.branch_pool.bn.bias"}, path)
    refused(path, r"\(Mixed_7c.branch_pool.bn.bias is missing\)")
    path.write_bytes(path.read_bytes()[:100_000])
    refused(path, "not a readable file of weights")


def test_a_script_of_any_other_hash_is_never_run(tmp_path: Path) -> None:
    path = tmp_path / "default_1.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))
        torch.jit.save(script, str(path))
    with pytest.raises(StreamtoonError, match="not a readable file of weights"):
        load_inception(path)


def test_every_convolution_has_one_name_in_the_script(state: State) -> None:
    ours, theirs = zip(*script_names(), strict=True)
    assert {f"{name}.conv.weight" for name in ours} == {key for key in state if key.endswith("conv.weight")}
    assert len(set(theirs)) == len(theirs) == 94
    assert dict(script_names())["Mixed_7c.branch3x3dbl_3b"] == "mixed_10.tower_1_mixed_conv_1"


def test_the_published_weights_give_what_their_script_gives() -> None:
    place = os.environ.get("STREAMTOON_INCEPTION")
    if not place:
        pytest.skip("STREAMTOON_INCEPTION does not name a file with Inception's weights")
    network = load_inception(Path(place))
    x = torch.stack([torch.from_numpy(inception_input(picture)) for picture in pictures(2)])
    got = network.features(x)
    assert torch.isfinite(got).all() and float(got.mean()) > 0.1
    if network.weights_sha256 == TORCHSCRIPT_SHA256:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")
            expected = torch.jit.load(place, map_location="cpu")(x)
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
