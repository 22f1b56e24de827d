"""Export the result of a training: a style folder that every engine can run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from engines.common.arrays import Image
from engines.common.atomic_write import replace_file
from engines.common.image_files import list_images, read_image, write_image
from engines.export.onnx_graph import save_style, write_filter
from engines.imaging.guided_filter import FilterSettings
from engines.quantization.nncf_ptq import MAX_PHOTOGRAPHS, quantize_style
from engines.registry.style import Style
from training.checkpoint import plain, versions
from training.preview import before_after
from training.trainer import Trainer

PREVIEW, RECIPE = "preview.webp", "recipe.json"
PREVIEW_PHOTOS = 3
MEASURED_PHOTOS = 6
"""Photos on which the guided filter is measured."""
PREVIEW_HEIGHT = 352
WEBP_QUALITY = 85
"""WebP quality of the preview, 0 to 100."""


Choose = Callable[[Style, Sequence[Image]], FilterSettings]
"""Chooses the guided filter that best preserves a style's drawings of some photographs."""


def finish(trainer: Trainer, folder: Path, choose: Choose | None = None) -> Style:
    """Write weights, graph, card, the complete recipe, and before/after images of the first sample photos.

    `choose` measures the guided filter on those photos. Its result replaces the recipe's values on the card,
    whose sharpness is the minimum. Networks that benefit from it also get an int8 graph, calibrated on the
    recipe's sources.

    Raises EngineError if the exported graph does not agree with torch, StyleError for an invalid card.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recipe, generator = trainer.recipe, trainer.system.forward.average.cpu()
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
        "training": {
            "steps": trainer.step,
            "seed": recipe.seed,
            "versions": ", ".join(f"{name} {number}" for name, number in made_with.items()),
        },
        "data": [{"name": d.name, "licence": d.licence, "source": d.source} for d in card.data],
    }
    if recipe.makes_fields:
        facts["look"] = {}  # the default look, which users can change on the card
    else:
        facts["guided_filter"] = {"radius": card.radius, "eps": card.eps, "lines": card.lines}
    show = Path(recipe.data.show or recipe.data.source)
    replace_file(folder / RECIPE, lambda part: part.write_text(json.dumps(plain(recipe), indent=2) + "\n"))
    write_image(folder / PREVIEW, before_after(generator, show, PREVIEW_PHOTOS, PREVIEW_HEIGHT), WEBP_QUALITY)
    style = save_style(folder, generator, facts)
    if choose is not None and not recipe.makes_fields:
        style = write_filter(
            style, choose(style, [read_image(each) for each in list_images(show)[:MEASURED_PHOTOS]])
        )
    if not getattr(generator, "gains_from_int8", False):
        return style
    sources = list_images(Path(recipe.data.source))
    every = -(-len(sources) // MAX_PHOTOGRAPHS)
    return quantize_style(style, map(read_image, sources[::every]))
