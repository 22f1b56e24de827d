"""The end of a training: a style folder that every engine runs."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from engines.export import save_style
from engines.quantize import ENOUGH, quantize_style
from engines.style import Style
from training.data.pictures import list_pictures, read_picture
from training.preview import before_after, write_picture
from training.recipe import Recipe

PREVIEW = "preview.webp"
SHOWN = 3
HEIGHT = 360


def finish(recipe: Recipe, generator: nn.Module, show: Path, folder: Path) -> Style:
    """Writes weights, both graphs, card and a before/after picture of the first photos in `show`.

    The int8 graph takes its ranges from the recipe's photographs, evenly picked.

    Raises EngineError where the exported graph does not agree with torch, StyleError for a wrong card.
    """
    folder.mkdir(parents=True, exist_ok=True)
    card = recipe.card
    facts: dict[str, object] = {
        "name": recipe.name,
        "title": card.title,
        "description": card.description,
        "generator": recipe.generator,
        "working_height": card.working_height,
        "licence": card.licence,
        "attribution": card.attribution,
        "recipe": f"{recipe.name}.toml",
        "preview": PREVIEW,
        "guided_filter": {"radius": card.radius, "eps": card.eps, "lines": card.lines},
        "data": [{"name": d.name, "licence": d.licence, "source": d.source} for d in card.data],
    }
    write_picture(folder / PREVIEW, before_after(generator, show, SHOWN, HEIGHT))
    style = save_style(folder, generator, facts)
    photographs = list_pictures(Path(recipe.data.photos))
    every = -(-len(photographs) // ENOUGH)
    return quantize_style(style, map(read_picture, photographs[::every]))
