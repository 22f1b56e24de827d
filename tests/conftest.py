"""What several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def style_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A style around an untrained UNet whose weights are shaken a little: it changes every pixel, mildly."""
    torch = pytest.importorskip("torch")
    from engines.export import save_style
    from engines.generators import create

    dice = torch.Generator().manual_seed(0)
    generator = create("unet")
    with torch.no_grad():
        for weight in generator.parameters():
            weight.add_(torch.randn(weight.shape, generator=dice), alpha=0.004)
    card = {
        "name": "shaken",
        "title": "Shaken",
        "description": "Not a style: weights for tests.",
        "generator": "unet",
        "working_height": 256,
        "licence": "Apache-2.0",
        "attribution": "",
        "recipe": "none",
        "guided_filter": {"radius": 1, "eps": 3e-4},
        "data": [{"name": "nothing", "licence": "CC0-1.0", "source": ""}],
    }
    folder = tmp_path_factory.mktemp("styles") / "shaken"
    save_style(folder, generator, card)
    return folder
