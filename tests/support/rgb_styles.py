"""Ordinary styles, which draw finished RGB pictures: untrained weights, shaken; each made once a process."""

from __future__ import annotations

import atexit
import tempfile
from functools import cache
from pathlib import Path

from engines.registry.style import LITE, Style, load_style


@cache
def rgb_style(generator: str = "unet") -> Style:
    """A style around that generator, without int8 graph and lite network."""
    return load_style(make_style(_folder() / generator / "shaken", generator))


@cache
def whole_style() -> Style:
    """A UNet with a lite network, both with an int8 graph: all that an ordinary style may have."""
    from lite_styles import add_lite

    from engines.export.calibration_images import calibration_images
    from engines.quantization.nncf_ptq import quantize_style

    folder = make_style(_folder() / "whole" / "shaken")
    add_lite(folder)
    for each in (folder, folder / LITE):
        quantize_style(load_style(each), calibration_images())
    return load_style(folder)


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


@cache
def _folder() -> Path:
    """Where they lie until the tests end."""
    holder = tempfile.TemporaryDirectory(prefix="streamtoon-tests-")
    atexit.register(holder.cleanup)
    return Path(holder.name).resolve()
