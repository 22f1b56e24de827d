"""What recipe keys are said to mean, held to what recipes take."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from engines.looks.look import look_keys
from streamtoon.cli.app import app
from training.recipe import RecipeError
from training.recipe_keys import find_keys, recipe_keys
from training.recipe_loader import BUNDLED, find_recipe, read_recipe


def _written(table: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _written(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def test_every_key_has_a_text_and_what_it_may_be() -> None:
    for key in recipe_keys():
        assert key.text.endswith(".") and key.allowed, key


def test_every_key_that_a_bundled_recipe_gives_is_explained() -> None:
    known = {key.name for key in recipe_keys()}
    for path in BUNDLED.glob("*.toml"):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        table.pop("variants", None)
        given = {key for key in _written(table) if not key.startswith("initialization.weights.")}
        assert given <= known, path


def test_defaults_are_what_a_recipe_gets_that_leaves_them_out() -> None:
    recipe = read_recipe(find_recipe("fpt-unet"))
    assert find_keys("optimizer.schedule")[0].default == f'"{recipe.optimizer.schedule}"'
    assert find_keys("ema")[0].default == str(recipe.ema)
    assert find_keys("weights.cycle")[0].default == "0"
    assert find_keys("data.source")[0].default == ""


@pytest.mark.parametrize("key", ["batch=0", "ema=1.0", "data.crop=65", "optimizer.name='lion'"])
def test_what_is_said_to_be_allowed_is_what_the_error_says(key: str) -> None:
    with pytest.raises(RecipeError) as error:
        read_recipe(find_recipe("fpt-unet"), settings=[key])
    allowed = find_keys(key.partition("=")[0])[0].allowed
    said = str(error.value).rpartition("allowed is ")[2]
    if "lion" in key:
        assert all(name in said for name in allowed.removeprefix("one of ").split(", "))
    else:
        assert said in allowed


def test_a_look_in_a_recipe_has_the_keys_of_looks() -> None:
    names = [key.name for key in find_keys("abstraction")]
    assert names == [f"abstraction.{key.name}" for key in look_keys()]


def test_the_command_explains_a_key_a_table_and_all() -> None:
    def said(*name: str) -> str:
        done = CliRunner().invoke(app, ["train", "--explain", *name])
        assert done.exit_code == 0, done.output
        return str(done.stdout)

    one = said("weights.texture")
    assert one.startswith("weights.texture\n") and "default 0" in one
    assert said("optimizer").count("optimizer.") == len(find_keys("optimizer"))
    every = said()
    assert all(f"{key.name}\n" in every for key in recipe_keys())
    wrong = CliRunner().invoke(app, ["train", "--explain", "texture"])
    assert wrong.exit_code == 1 and "did you mean weights.texture?" in wrong.stderr
    assert CliRunner().invoke(app, ["train"]).exit_code == 2
