"""The generators: size, shape and what they promise of their start."""

from __future__ import annotations

import pytest
import torch

from engines.errors import StyleError
from engines.generators import GENERATORS, create


def test_unet_has_the_papers_size() -> None:
    parameters = sum(p.numel() for p in create("unet").parameters())
    assert parameters == 1_467_075
    assert parameters == pytest.approx(1.48e6, rel=0.01)  # the thesis' Table 1
    assert parameters * 4 / 2**20 == pytest.approx(5.6, abs=0.05)  # its 5.6 MB


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_are_fully_convolutional(name: str) -> None:
    network = create(name).eval()
    multiple = network.size_multiple
    assert isinstance(multiple, int)
    for height, width in ((4, 4), (multiple * 5, multiple * 9)):
        with torch.no_grad():
            assert network(torch.zeros(2, 3, height, width)).shape == (2, 3, height, width)


def test_unet_starts_as_the_identity() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 32, 48) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(create("unet")(picture), picture, atol=1e-5, rtol=0)


def test_unknown_generator_is_one_sentence() -> None:
    with pytest.raises(StyleError, match=r"unknown generator 'vnet'.*unet"):
        create("vnet")
