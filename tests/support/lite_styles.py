"""A lite network to put into a style's folder."""

from __future__ import annotations

from pathlib import Path

from engines.registry.style import LITE, Style, load_style


def add_lite(folder: Path) -> Style:
    """The style in `folder` with an untrained lite network added, shaken so that it changes every pixel."""
    import torch

    from engines.export.onnx_graph import save_style
    from engines.generators import create

    dice = torch.Generator().manual_seed(1)
    generator = create("lite")
    with torch.no_grad():
        for weight in generator.parameters():
            weight.add_(torch.randn(weight.shape, generator=dice), alpha=0.02)
    card = {
        "name": "shaken-lite",
        "title": "Shaken, lite",
        "description": "Not a style: weights for tests.",
        "generator": "lite",
        "working_height": 256,
        "licence": "Apache-2.0",
        "attribution": "",
        "recipe": "none",
        "guided_filter": {"radius": 1, "eps": 3e-4},
    }
    save_style(folder / LITE, generator, card)
    return load_style(folder)
