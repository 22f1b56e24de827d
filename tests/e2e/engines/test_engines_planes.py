"""The network from planes to planes draws what the engine draws, and holds in half precision."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from engines_open import open_engine
from planes_pictures import LIMITED, drawn, extremes, photographs, picture, psnr, task_for
from rgb_styles import rgb_style

from engines.backends.frame_runner import frame_task
from engines.export.frame_graph import STATISTICS, Fit, Fp32Module, FrameNetwork, to_half
from engines.export.typed_onnx import task_network
from engines.frame import ColorInfo
from engines.generators import GENERATORS, create, find, margin_of
from engines.imaging.working_size import fit
from engines.registry.network import load_network

NEAR = 48.0
"""Decibels between the network's planes and the engine's: the engine rounds to code values on its way, and an
untrained network may make more of that."""
HEIGHT, WIDTH = 96, 128


@pytest.mark.parametrize("generator", ["unet", "lwcomicgan"])
@pytest.mark.parametrize(
    "size, color, choice",
    [
        ((96, 128), LIMITED, {"quality": "full"}),
        ((97, 131), LIMITED, {"quality": "fast"}),
        ((90, 121), ColorInfo("bt601", full_range=True), {"detail": 0.6}),
        ((65, 64), ColorInfo("bt2020"), {"detail": 0.9}),
        ((101, 77), LIMITED, {"detail": 0.3}),
    ],
    ids=str,
)
def test_it_draws_what_the_engine_draws(
    generator: str, size: tuple[int, int], color: ColorInfo, choice: dict[str, Any]
) -> None:
    height, width = size
    for strength in (1.0, 0.4):
        engine = open_engine(
            rgb_style(generator),
            backend="torch",
            device="cpu",
            precision="fp32",
            strength=strength,
            width=width,
            height=height,
            **choice,
        )
        for name, photo in list(photographs(height, width).items())[:2]:
            source = picture(photo, color)
            small = engine._working_size(height, width)
            task = frame_task(engine._style, source, small)
            network = task_network(engine._style, task, half=False)
            planes = (source.y, source.u, source.v)
            got = [plane[0] for plane in drawn(network, planes, strength=strength)]
            cartoon = engine(source)
            wanted = (cartoon.y, cartoon.u, cartoon.v)
            assert [plane.shape for plane in got] == [plane.shape for plane in planes]
            assert psnr(got, wanted) >= NEAR, (name, strength)
            assert psnr(planes, wanted) < 40  # the style does something
        engine.close()


@pytest.mark.parametrize(
    "given, wanted",
    [
        ((40, 60), (20, 30)),
        ((1080, 1920), (720, 1280)),
        ((41, 60), (20, 30)),
        ((36, 50), (36, 25)),
        ((97, 131), (31, 44)),
        ((20, 30), (40, 60)),
        ((20, 30), (33, 30)),
        ((20, 30), (33, 17)),
        ((1, 1), (2, 3)),
        ((20, 30), (20, 30)),
    ],
)
def test_sizes_change_as_on_the_host(given: tuple[int, int], wanted: tuple[int, int]) -> None:
    plane = np.random.default_rng(0).integers(0, 256, given, dtype=np.uint8)
    with torch.inference_mode():
        got = Fit(given, wanted)(torch.from_numpy(plane.astype(np.float32))[None, None])[0, 0].numpy()
    assert got.shape == wanted
    difference = np.abs(got - fit(plane, *wanted).astype(float))
    assert difference.max() <= 0.8  # the host rounds, and once more on its way where it enlarges
    assert difference.mean() <= 0.3


def test_strength_zero_is_the_source_bit_for_bit() -> None:
    style = rgb_style()
    network = task_network(style, task_for(style, 33, 35), half=False)
    for planes in extremes(33, 35).values():
        for got, source in zip(drawn(network, planes, strength=0.0), planes, strict=True):
            assert np.array_equal(got[0], source)


def test_pictures_of_a_batch_do_not_see_each_other() -> None:
    style = rgb_style("lwcomicgan")  # whose statistics are of whole pictures
    network = task_network(style, task_for(style, 48, 64), half=False)
    several = list(extremes(48, 64).values())[-4:]
    together = drawn(network, *several)
    for n, planes in enumerate(several):
        for plane, alone in zip(together, drawn(network, planes), strict=True):
            assert np.abs(plane[n].astype(int) - alone[0]).max() <= 1


def test_it_carries_the_lines_that_the_source_does_not_have() -> None:
    style = dataclasses.replace(rgb_style(), radius=3)

    class Ink(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            drawn = torch.ones_like(x)
            drawn[..., margin_of(style.generator) + 30] = -1
            return drawn

    white = (np.full((64, 64), 235, np.uint8), *np.full((2, 32, 32), 128, np.uint8))
    depth = [
        235.0 - drawn(FrameNetwork(Ink(), task_for(style, 64, 64, lines=lines)), white)[0][0, :, 30].mean()
        for lines in (0.0, 0.5, 1.0)
    ]
    assert depth[0] < 100 < depth[1] < depth[2]
    assert depth[2] == pytest.approx(219, abs=1)


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_statistics_stay_single_in_every_generator(name: str) -> None:
    generator = create(name)
    half = to_half(generator)
    wide = [module for module in half.modules() if isinstance(module, Fp32Module)]
    assert len(wide) == sum(isinstance(module, STATISTICS) for module in generator.modules())
    assert all(weight.dtype == torch.float32 for module in wide for weight in module.parameters())
    kept = {id(weight) for module in wide for weight in module.parameters()}
    others = [weight for weight in half.parameters() if id(weight) not in kept]
    assert others and all(weight.dtype == torch.float16 for weight in others)
    assert all(weight.dtype == torch.float32 for weight in generator.parameters())
    kind: Any = find(name)
    side, taken = 2 * kind.size_multiple, getattr(generator, "channels", (3, 3))[0]
    with torch.inference_mode():
        drawing = half(torch.zeros(1, taken, side, side, dtype=torch.float16))
    assert drawing.dtype == torch.float16
    assert drawing.isfinite().all()


def test_a_generator_is_taken_as_it_is() -> None:
    style = rgb_style()
    generator = load_network(style)
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    to_half(generator)
    for key, value in generator.state_dict().items():
        assert torch.equal(value, before[key])
