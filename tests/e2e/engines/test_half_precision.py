"""Whole generators in half precision. Processors without such arithmetic need minutes for that."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from planes_pictures import drawn, extremes, photographs, picture, psnr, task_for
from rgb_styles import rgb_style

from engines.export.typed_onnx import task_network

HEIGHT, WIDTH = 48, 64


@pytest.mark.parametrize("name", ["unet", "lwcomicgan"])
def test_half_precision_is_near_single_on_photographs(name: str) -> None:
    style = rgb_style(name)
    task = task_for(style, HEIGHT, WIDTH)
    single, half = (task_network(style, task, half=half) for half in (False, True))
    for photo_name, photo in photographs(HEIGHT, WIDTH).items():
        source = picture(photo)
        planes = (source.y, source.u, source.v)
        assert psnr(drawn(half, planes), drawn(single, planes)) >= 45, photo_name


@pytest.mark.parametrize("name", ["unet", "lwcomicgan"])
def test_half_precision_overflows_nowhere(name: str) -> None:
    """torch rounds to fp16 after every layer: each is looked at."""
    style = rgb_style(name)
    network = task_network(style, task_for(style, 32, 32), half=True)
    largest: dict[str, float] = {}

    def look(name: str) -> Any:
        def hook(module: object, given: object, out: torch.Tensor) -> None:
            largest[name] = max(largest.get(name, 0.0), float(out.float().abs().max()))

        return hook

    for layer, module in network.generator.named_modules():
        module.register_forward_hook(look(layer))
    for planes in extremes(32, 32).values():
        drawn(network, planes)
    assert len(largest) > 15
    assert all(value <= 65504 / 4 for value in largest.values()), largest
