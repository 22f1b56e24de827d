"""The end of a training: a style folder that every engine runs."""

from __future__ import annotations

import json
from pathlib import Path

from engines.export import save_style
from engines.files import replace_file
from engines.picture_files import list_pictures, read_picture, write_picture
from engines.quantize import ENOUGH, quantize_style
from engines.style import Style
from training.checkpoint import plain, versions
from training.preview import before_after
from training.trainer import Trainer

PREVIEW, RECIPE = "preview.webp", "recipe.json"
SHOWN = 3
HEIGHT = 352
QUALITY = 85
"""Of the preview, as WebP counts it."""


def finish(trainer: Trainer, folder: Path) -> Style:
    """Writes weights, graph, card, the recipe as it came to be, and before/after of the first photos shown.

    Networks that gain from it get an int8 graph too, its ranges taken from the recipe's sources.

    Raises EngineError where the exported graph does not agree with torch, StyleError for a wrong card.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recipe, generator = trainer.recipe, trainer.system.there.average.cpu()
    card, made_with = recipe.card, versions()
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
        "training": {
            "steps": trainer.step,
            "seed": recipe.seed,
            "versions": ", ".join(f"{name} {number}" for name, number in made_with.items()),
        },
        "data": [{"name": d.name, "licence": d.licence, "source": d.source} for d in card.data],
    }
    show = Path(recipe.data.show or recipe.data.source)
    replace_file(folder / RECIPE, lambda part: part.write_text(json.dumps(plain(recipe), indent=2) + "\n"))
    write_picture(folder / PREVIEW, before_after(generator, show, SHOWN, HEIGHT), QUALITY)
    style = save_style(folder, generator, facts)
    if not getattr(generator, "gains_from_int8", False):
        return style
    sources = list_pictures(Path(recipe.data.source))
    every = -(-len(sources) // ENOUGH)
    return quantize_style(style, map(read_picture, sources[::every]))
