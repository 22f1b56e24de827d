"""The bundled recipes at a size at which a test can train them."""

from __future__ import annotations

from pathlib import Path

import cv2
from rgb_styles import rgb_style

from training.recipe import Recipe
from training.recipe_loader import find_recipe, read_recipe

RATES = {"resnet18": 0.02, "pepper": 2e-4, "fpt-unet": 2e-4}
"""Learning rates for gradient descent, and for Adam near the identity. Other recipes use 1e-3."""

TAUGHT = "pepper-lite"
"""The recipe whose teacher is not a shipped style."""

INKED = ("gouache", "pepper")
"""Recipes that learn the abstraction program's drawings, which need photographs of an ordinary size."""


def _enlarged(photos: Path) -> Path:
    """Write smooth copies at three times the size: the abstraction program needs larger photographs."""
    folder = photos.parent / "larger"
    folder.mkdir(exist_ok=True)
    for path in photos.iterdir():
        photo = cv2.imread(str(path))
        assert photo is not None
        height, width = photo.shape[:2]
        larger = cv2.resize(photo, (3 * width, 3 * height), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / path.name), larger)
    return folder


def tiny(name: str, variant: str, pictures: Path) -> Recipe:
    """Return the recipe with small crops, batches and lengths, and otherwise unchanged."""
    photos = _enlarged(pictures / "photos") if name in INKED else pictures / "photos"
    return read_recipe(
        find_recipe(name),
        variant,
        [f"data.source={photos}", f"data.target={pictures / 'cartoons'}", "data.crop=64",
         "batch=2", "checkpoints=1", "steps=2", "epochs=0", "initialization.steps=12",
         "initialization.weights={reconstruction=1.0}", "optimizer.schedule=constant",
         f"optimizer.generator_rate={RATES.get(name, 1e-3)}",
         *([f"teacher={rgb_style().folder}"] if name == TAUGHT else [])],
    )  # fmt: skip
