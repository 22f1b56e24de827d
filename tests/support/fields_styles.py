"""Small styles that draw by fields, for tests: untrained networks, shaken to change every sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.registry.card import to_toml
from engines.registry.style import CARD, Style, load_style

LOOK: dict[str, object] = {"levels": 5, "hardness": 0.6, "line_density": 1.2}
OTHER_LOOK: dict[str, object] = {
    "levels": 0,
    "saturation": 0.0,
    "line_opacity": 0.0,
    "lift": 1.0,
    "contrast": 0.0,
}


def save_network(folder: Path, seed: int = 0, look: dict[str, object] | None = None) -> Style:
    """A network of fields in `folder`; with a look, a style of its own network."""
    import torch

    from engines.export.onnx_graph import save_style
    from engines.generators import create

    dice = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)  # the same weights whatever other tests have drawn
        generator = create("fields-lite")
    with torch.no_grad():
        for weight in generator.parameters():
            weight.add_(torch.randn(weight.shape, generator=dice), alpha=0.02)
    card: dict[str, object] = {
        "name": "shaken-fields",
        "title": "Shaken fields",
        "description": "Not a network: weights for tests.",
        "generator": "fields-lite",
        "working_height": 128,
        "licence": "Apache-2.0",
        "attribution": "nobody",
        "recipe": "none",
        "data": [{"name": "nothing", "licence": "CC0-1.0", "source": ""}],
    }
    return save_style(folder, generator, card | ({"look": look} if look else {}))


def save_look(folder: Path, network: str, look: dict[str, object]) -> Style:
    """A style over the shared network of that name, called as its folder is."""
    folder.mkdir(parents=True)
    card = {
        "format": 1,
        "name": folder.name,
        "title": folder.name.title(),
        "description": "Not a style: a look for tests.",
        "network": network,
        "look": look,
    }
    (folder / CARD).write_text(to_toml(card), encoding="utf-8")
    return load_style(folder)


def blocks_by_hand(y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Planes of whole blocks as rows x columns x 24, sample by sample."""
    rows, columns = y.shape[0] // 4, y.shape[1] // 4
    blocks = np.empty((rows, columns, 24))
    for at in range(16):
        blocks[:, :, at] = y[at // 4 :: 4, at % 4 :: 4]
    for at in range(4):
        blocks[:, :, 16 + at] = u[at // 2 :: 2, at % 2 :: 2]
        blocks[:, :, 20 + at] = v[at // 2 :: 2, at % 2 :: 2]
    return blocks


def fields_by_hand(
    style: Style, y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], ...]:
    """Paint (y, u, v) and ink of planes of whole blocks, by torch in double precision and no other code."""
    import torch
    from safetensors.torch import load_file

    from engines.generators import create

    network = create(style.generator)
    network.load_state_dict(load_file(style.weights))
    samples = torch.from_numpy(blocks_by_hand(y, u, v) / 127.5 - 1).permute(2, 0, 1)[None]
    with torch.inference_mode():
        given = network.double().eval()(samples)[0].permute(1, 2, 0).numpy()
    codes = np.clip(np.rint((given + 1) * 127.5), 0, 255)
    paint_y, ink = np.empty(y.shape), np.empty(y.shape)
    for at in range(16):
        paint_y[at // 4 :: 4, at % 4 :: 4] = codes[:, :, at]
        ink[at // 4 :: 4, at % 4 :: 4] = codes[:, :, 24 + at]
    paint_u, paint_v = np.empty(u.shape), np.empty(v.shape)
    for at in range(4):
        paint_u[at // 2 :: 2, at % 2 :: 2] = codes[:, :, 16 + at]
        paint_v[at // 2 :: 2, at % 2 :: 2] = codes[:, :, 20 + at]
    changed = (
        np.clip(source + change - 128.0, 0, 255)
        for source, change in ((y, paint_y), (u, paint_u), (v, paint_v))
    )
    return (*changed, ink)
