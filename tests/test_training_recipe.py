"""Recipes: what is written is what is read, and what is wrong is said in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

import training
from training.recipe import RecipeError, read_recipe

GOOD = """
name = "x"
batch = 2
betas = [0.5, 0.9]
[data]
photos = "p"
cartoons = "c"
[weights]
texture = 1
[card]
title = "X"
description = "x"
licence = "CC0-1.0"
[[card.data]]
name = "own"
licence = "CC0-1.0"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_recipe_is_read_with_its_defaults(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, GOOD))
    assert (recipe.name, recipe.batch, recipe.betas, recipe.generator) == ("x", 2, (0.5, 0.9), "unet")
    assert (recipe.weights.texture, recipe.weights.surface) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("batch = 2", "batch = 0", r"batch = 0; allowed is 1 or more"),
        ("batch = 2", 'batch = "2"', r"batch = '2'; allowed is int"),
        ("batch = 2", "batsh = 2", r"unknown key batsh; allowed are name"),
        ("texture = 1", "texture = -1", r"weights\.texture = -1.0; allowed is 0 or more"),
        ("texture = 1", "texture = nan", r"weights\.texture = nan; allowed is 0 or more"),
        ('photos = "p"', "", r"the key data\.photos is missing"),
        ('photos = "p"', 'photos = "p"\ncrop = 100', r"data\.crop = 100; allowed is a multiple of 8"),
        ("betas = [0.5, 0.9]", "betas = [0.5]", r"betas = \[0\.5\]; allowed is"),
        ("betas = [0.5, 0.9]", "betas = [0.5, 1.0]", r"betas = 1\.0; allowed is from 0 to below 1"),
        ("batch = 2", 'discriminator = "vit"', r"discriminator = 'vit'; allowed is 'patch' or 'vgg-heads'"),
        ("batch = 2", "batch =", r"not TOML"),
        ("batch = 2", "warm_up = 9", r"warm_up = 9 has nothing to learn from; allowed is 0, or"),
        ("texture = 1", "", r"every weight is 0; allowed is at least one above 0"),
        ('name = "own"', 'nmae = "own"', r"unknown key card\.data\[0\]\.nmae; allowed are name"),
        ('[[card.data]]\nname = "own"\nlicence = "CC0-1.0"', "eps = 0", r"card\.eps = 0\.0; allowed is"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(RecipeError, match=sentence) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value).strip()


def test_a_missing_recipe_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path / "none.toml")


@pytest.mark.parametrize("path", sorted((Path(training.__file__).parent / "recipes").glob("*.toml")))
def test_shipped_recipes_are_valid_and_named_by_their_file(path: Path) -> None:
    assert read_recipe(path).name == path.stem
