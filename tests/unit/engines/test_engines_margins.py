"""The border of a picture: what zeros beyond it would make of a flat one is drawn outside and cut off."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import torch
from engines_open import open_engine

from engines.export.frame_graph import Mirror
from engines.export.onnx_graph import export_onnx
from engines.frame import Frame
from engines.generators import FIELD_GENERATORS, GENERATORS, create, find, margin_of
from engines.generators.lwcomicgan import LIN
from engines.imaging.working_size import WorkingSize
from engines.importing.importer import ImportOptions, add_style
from engines.registry.style import Style

RGB = sorted(set(GENERATORS) - set(FIELD_GENERATORS))
Bytes = NDArray[np.uint8]


@pytest.mark.parametrize("height, width", [(1, 1), (1, 7), (2, 3), (5, 40), (64, 33)])
@pytest.mark.parametrize("multiple", [1, 4, 32])
def test_pictures_of_any_size_are_mirrored_and_come_back(height: int, width: int, multiple: int) -> None:
    size = WorkingSize.of(height, width, 1.0, multiple, 16)
    image = np.random.default_rng(0).integers(
        0, 256, (size.working_height, size.working_width, 3), dtype=np.uint8
    )
    padded = size.pad(image)
    assert padded.shape == size.given
    assert padded.shape[0] % multiple == padded.shape[1] % multiple == 0
    assert min(padded.shape[0] - image.shape[0], padded.shape[1] - image.shape[1]) >= 32
    below, right = (
        given - small - 16 for given, small in zip(padded.shape[:2], image.shape[:2], strict=True)
    )
    if min(image.shape[:2]) > 1:  # NumPy repeats a single row, and mirrors any others as often as needed
        expected = np.pad(image, ((16, below), (16, right), (0, 0)), mode="reflect")
        assert np.array_equal(padded, expected)
    assert np.array_equal(size.crop(padded), image)
    planes = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    assert np.array_equal(Mirror(size)(planes)[0].permute(1, 2, 0).numpy(), padded)


def drawn(network: torch.nn.Module, image: Bytes, multiple: int, margin: int) -> NDArray[Any]:
    height, width = image.shape[:2]
    size = WorkingSize.of(height, width, 1.0, multiple, margin)
    values = torch.from_numpy(size.pad(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.inference_mode():
        cartoon = network(values)[0].clamp(-1, 1) * 127.5 + 127.5
    return size.crop(cartoon.permute(1, 2, 0).numpy())


@pytest.mark.parametrize("name", RGB)
def test_a_flat_picture_is_drawn_at_its_border_as_far_within(name: str) -> None:
    """By untrained weights.

    Instance normalization is left out where nothing is mixed with it: a flat picture has no variance, and the
    fringe would be all of it.
    """
    torch.manual_seed(0)
    network, dice = create(name).eval(), torch.Generator().manual_seed(0)
    if name in ("lite", "unet"):  # which start as the identity, without a fringe
        with torch.no_grad():
            for weight in network.parameters():
                weight.add_(torch.randn(weight.shape, generator=dice), alpha=0.004)
    is_mixed = any(isinstance(module, LIN) for module in network.modules())
    for inner, module in list(network.named_modules()):
        if isinstance(module, torch.nn.InstanceNorm2d) and not is_mixed:
            network.set_submodule(inner, torch.nn.Identity())
    flat = np.full((64, 96, 3), (200, 90, 60), np.uint8)
    kind: Any = find(name)
    multiple, margin = kind.size_multiple, margin_of(name)
    fringes = []
    for each in (0, margin):
        drawing = drawn(network, flat, multiple, each)
        middle = drawing[
            32 : 32 + multiple, 32 : 32 + multiple
        ]  # untrained weights draw a pattern of that period
        pattern = np.tile(middle, (64 // multiple, 96 // multiple, 1))
        fringes.append(np.abs(drawing - pattern).max())
    assert fringes[1] <= max(0.01, fringes[0] / 10)
    assert fringes[1] <= 2.5


class Fringed(torch.nn.Module):
    """As trained networks are: small windows, zeros beyond the border. A bright picture turns dark there."""

    size_multiple = 2

    def __init__(self) -> None:
        super().__init__()
        layers = [torch.nn.Conv2d(3, 3, 5, padding=2) for _ in range(5)]
        self.layers = torch.nn.Sequential(*layers)
        with torch.no_grad():
            for layer in layers:
                layer.weight.copy_(torch.eye(3)[:, :, None, None] / 25)
                assert layer.bias is not None
                layer.bias.zero_()

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layers(picture)
        return out


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Style:
    """A graph that somebody else trained, added as a user adds it."""
    monkeypatch.setattr("engines.registry.style.data_folder", lambda name: tmp_path / "data" / name)
    export_onnx(Fringed(), tmp_path / "fringed.onnx")
    return add_style(tmp_path / "fringed.onnx", ImportOptions(licence="CC0-1.0")).style


@pytest.mark.parametrize("quality", ["full", "fast"])
@pytest.mark.parametrize("color", [(235, 128, 128), (60, 90, 200)], ids=str)
def test_a_flat_video_stays_flat_to_its_border(
    imported: Style, quality: Any, color: tuple[int, int, int]
) -> None:
    network = Fringed()
    flat = np.full((64, 96, 3), 250, np.uint8)
    assert np.ptp(drawn(network, flat, 2, 0)) > 60, "without a margin it has a fringe"
    y, u, v = color
    half = (45, 80)
    source = Frame(
        np.full((90, 160), y, np.uint8),
        np.full(half, u, np.uint8),
        np.full(half, v, np.uint8),
        0,
        Fraction(1, 25),
    )
    with open_engine(
        imported, quality=quality, precision="fp32", stabilize=0.0, width=160, height=90
    ) as engine:
        cartoon = engine(source)
        still = engine.rgb(np.full((90, 160, 3), 250, np.uint8))
    for plane in (cartoon.y, cartoon.u, cartoon.v):
        assert np.ptp(plane.astype(int)) <= 1
    assert np.ptp(still.astype(int), axis=(0, 1)).max() <= 1
