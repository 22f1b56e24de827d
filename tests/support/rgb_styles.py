"""Ordinary styles, which draw finished RGB pictures: untrained weights, shaken; each made once a run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from run_folder import made_once

from engines.registry.style import LITE, Style, load_style


@cache
def rgb_style(generator: str = "unet") -> Style:
    """A style around that generator, without int8 graph and lite network."""
    folder = made_once(generator, lambda folder: make_style(folder / "shaken", generator))
    return load_style(folder / "shaken")


@cache
def whole_style() -> Style:
    """A UNet with a lite network, both with an int8 graph: all that an ordinary style may have."""
    return load_style(made_once("whole", _make_whole) / "shaken")


def _make_whole(folder: Path) -> None:
    from lite_styles import add_lite

    from engines.export.calibration_images import calibration_images
    from engines.quantization.nncf_ptq import quantize_style

    style = make_style(folder / "shaken")
    add_lite(style)
    for each in (style, style / LITE):
        quantize_style(load_style(each), calibration_images())


def make_style(folder: Path, generator: str = "unet", working_height: int = 256) -> Path:
    """A style whose weights are shaken a little: a UNet changes every pixel, mildly; others draw anything."""
    import torch

    from engines.export.onnx_graph import save_style
    from engines.generators import create

    dice = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    network = create(generator)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=dice), alpha=0.004)
    card = {
        "name": "shaken",
        "title": "Shaken",
        "description": "Not a style: weights for tests.",
        "generator": generator,
        "working_height": working_height,
        "licence": "Apache-2.0",
        "attribution": "",
        "recipe": "none",
        "guided_filter": {"radius": 1, "eps": 3e-4},
        "data": [{"name": "nothing", "licence": "CC0-1.0", "source": ""}],
    }
    save_style(folder, network, card)
    return folder
