"""Recipes: what is written is what is read, variants and settings, and one sentence for what is wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from training.recipe import Ramp, RecipeError
from training.recipe_loader import bundled_recipes, find_recipe, read_recipe

GOOD = """
name = "x"
batch = 2
steps = 10
[data]
source = "p"
target = "c"
[weights]
texture = 1
cycle = [10, 2.5]
[optimizer]
betas = [0.5, 0.9]
[variants.bold.weights]
texture = 3
[variants.bolder]
like = "bold"
batch = 4
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
    assert (recipe.name, recipe.batch, recipe.optimizer.betas) == ("x", 2, (0.5, 0.9))
    assert (recipe.generator, recipe.precision, recipe.adversary.objective) == ("unet", "auto", "hinge")
    assert (recipe.weights.texture, recipe.weights.surface) == (Ramp(1, 1), Ramp(0, 0))
    assert [recipe.weights.cycle.at(share) for share in (0, 0.5, 1)] == [10, 6.25, 2.5]
    assert recipe.weights.used() == {"texture", "cycle"}
    assert recipe.terms() == recipe.weights.used(), "no initialization, so none of its terms"


def test_variants_differ_in_what_they_say_and_settings_come_last(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    bold = read_recipe(path, "bold")
    assert (bold.weights.texture.start, bold.batch, bold.weights.cycle) == (3, 2, Ramp(10, 2.5))
    bolder = read_recipe(path, "bolder", ["weights.texture = 5", "data.source=/some/where", "seed=7"])
    assert (bolder.weights.texture.start, bolder.batch, bolder.seed) == (5, 4, 7)
    assert (bolder.data.source, bolder.data.target) == ("/some/where", "c")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("batch = 2", "batch = 0", r"batch = 0; allowed is 1 or more"),
        ("batch = 2", 'batch = "2"', r"batch = '2'; allowed is a whole number"),
        ("batch = 2", "batch = true", r"batch = True; allowed is a whole number"),
        ("batch = 2", "batsh = 2", r"unknown key batsh; allowed are name"),
        ("texture = 1", "texture = -1", r"weights\.texture = -1; allowed is a number from 0 to 1e\+06, or"),
        ("texture = 1", "texture = nan", r"weights\.texture = nan; allowed is a number"),
        ("texture = 1", "texture = [1, 2, 3]", r"weights\.texture = \[1, 2, 3\]; allowed is a number"),
        ('source = "p"', "", r"key data\.source is missing"),
        ('source = "p"', 'source = "p"\ncrop = 100', r"data\.crop = 100; allowed is a multiple of 8 from 64"),
        ("betas = [0.5, 0.9]", "betas = [0.5]", r"betas = \[0\.5\]; allowed is a list of 2"),
        ("betas = [0.5, 0.9]", "betas = [0.5, 1.0]", r"betas = 1\.0; allowed is from 0 to below 1"),
        (
            "batch = 2",
            'precision = "fp8"',
            r"precision = 'fp8'; allowed is 'auto' or 'fp32' or 'bf16' or 'fp16'",
        ),
        ("batch = 2", 'generator = "vit"', r"generator = 'vit'; allowed are .*unet"),
        ("batch = 2", "batch =", r"is not valid TOML"),
        (
            "steps = 10",
            "steps = 10\nepochs = 1",
            r"steps = 10 and epochs = 1; exactly one",
        ),
        ("texture = 1\ncycle = [10, 2.5]", "", r"every weight is 0"),
        ("texture = 1", "teacher = 1", r"teacher = '' and weights\.teacher must be set together"),
        ("batch = 2", 'teacher = "comic"', r"teacher = 'comic' and weights\.teacher must be set together"),
        ("texture = 1", "paired = 1", r"weights\.match need a target"),
        ("texture = 1", "cycle_features = 1", r"cycle_features needs the discriminator"),
        ("[optimizer]", "[adversary]\nsoft_labels = true\n[optimizer]", r"soft_labels = true .* hinge"),
        ("[optimizer]", "[adversary]\nedges = 1\n[optimizer]", r"edges = 1\.0 needs data\.smoothed"),
        ("[optimizer]", '[features]\nlayer = "conv4_4"\n[optimizer]', r"allowed for vgg16 are conv1_1"),
        (
            "[optimizer]",
            "[initialization.weights]\ntexture = 1\n[optimizer]",
            r"initialization\.weights .* discriminator",
        ),
        ("texture = 3", "textur = 3", r"unknown key weights\.textur; allowed are"),
        ("texture = 1", "colour = 1", r"unknown key weights\.colour; it is now called weights\.color"),
        ("batch = 2", "colour_blocks = 4", r"unknown key colour_blocks; it is now called color_blocks"),
        (
            "[optimizer]",
            "[adversary]\ncolour_blind = true\n[optimizer]",
            r"unknown key adversary\.colour_blind; it is now called adversary\.color_blind",
        ),
        ('like = "bold"', 'like = "bald"', r"no variant 'bald'; allowed are bold, bolder"),
        ('like = "bold"', 'like = "bolder"', r"variants\.bolder is like itself"),
        ('name = "own"', 'nmae = "own"', r"unknown key card\.data\[0\]\.nmae; allowed are name"),
        ('[[card.data]]\nname = "own"\nlicence = "CC0-1.0"', "eps = 0", r"card\.eps = 0; allowed is from"),
        ('title = "X"', 'title = " "', r"card\.title and card\.licence must not be empty"),
        ("batch = 2", "seed = 4294967296", r"seed = 4294967296; allowed is from 0 to 4\.29497e\+09"),
        ('name = "x"', 'name = "Fancy Style"', r"name = 'Fancy Style'; allowed are lower-case letters"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(RecipeError, match=sentence) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value).strip()


def test_a_wrong_setting_or_variant_is_one_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    with pytest.raises(RecipeError, match="no variant 'mild'; allowed are bold, bolder"):
        read_recipe(path, "mild")
    with pytest.raises(RecipeError, match="'batch' has no '='; write key=value"):
        read_recipe(path, settings=["batch"])
    with pytest.raises(RecipeError, match=r"unknown key weights\.glitter"):
        read_recipe(path, settings=["weights.glitter=1"])


def test_a_missing_recipe_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"no recipe .*none\.toml; name a TOML file or one of .*fpt-unet"):
        find_recipe(str(tmp_path / "none.toml"))
    with pytest.raises(RecipeError, match="cannot be read"):
        read_recipe(tmp_path)


@pytest.mark.parametrize("name", bundled_recipes())
def test_bundled_recipes_are_valid_and_named_by_their_file(name: str) -> None:
    assert read_recipe(find_recipe(name)).name == name


def test_the_papers_numbers_stand_in_their_recipes() -> None:
    fpt = read_recipe(find_recipe("fpt-unet"))
    assert (fpt.optimizer.generator_rate, fpt.batch, fpt.steps) == (1.5e-4, 16, 20_000)
    light = read_recipe(find_recipe("lwcomicgan")).weights
    weighed = [w.start for w in (light.adversarial, light.content, light.gram, light.color)]
    table = [350, 2.5, 12.5, 15]
    assert [w / weighed[0] for w in weighed] == pytest.approx([w / table[0] for w in table])
    li = read_recipe(find_recipe("li-cyclegan"))
    # Least squares with halves: lambda 10 against a verdict without the generator's half.
    assert 2 * li.weights.cycle.start / li.weights.adversarial.start == 10
    # The papers cut no gradients: least of all those of plain gradient descent.
    ours = {"paint-and-ink", "pepper", "pepper-lite", "gouache"}
    papers = [read_recipe(find_recipe(name)) for name in bundled_recipes() if name not in ours]
    assert len(papers) == 5 and all(recipe.optimizer.clip_gradients == 0 for recipe in papers)
    kept = {round(li.epochs * at / li.checkpoints) for at in range(1, li.checkpoints + 1)}
    assert {150, 200, 220} <= kept and li.data.crop == 256
    migration = read_recipe(find_recipe("resnet18"))
    assert (migration.optimizer.name, migration.optimizer.generator_rate, migration.epochs) == (
        "sgd",
        2e-3,
        200,
    )


def test_the_variants_of_cartoon_to_human_add_up_as_in_its_table_of_models() -> None:
    path = find_recipe("cartoon-to-human")
    base, v3, v4, v5, v6 = (read_recipe(path, variant) for variant in ("", "v3", "v4", "v5", "v6"))
    assert base.weights.used() == {"adversarial", "cycle", "identity"}
    assert v3.weights.used() == {"cycle", "identity", "paired", "match"}
    assert v4.weights.used() == v3.weights.used() | {"cycle_features"}
    assert (v4.adversary.soft_labels, v5.adversary.soft_labels, v6.adversary.soft_labels) == (
        False,
        True,
        True,
    )
    assert (v5.adversary.discriminator, v6.adversary.discriminator) == ("patchgan", "residual")
    assert read_recipe(path, "gan-v1").weights.used() == {"adversarial"}
    assert read_recipe(path, "gan-v2").weights.used() == {"paired", "match"}
    for share in (0.0, 0.3, 1.0):  # lambda and 1 - lambda, gamma and 1 - gamma
        assert v3.weights.paired.at(share) + v3.weights.match.at(share) == pytest.approx(1)
        assert v4.weights.cycle.at(share) + v4.weights.cycle_features.at(share) == pytest.approx(10)


@pytest.mark.parametrize(
    ("instructions", "wanted"),
    [
        ({"avx512_bf16": True}, "bf16"),
        ({"avx512_f": True, "avx512_bf16": False}, "fp32"),
        ({"bf16": True}, "bf16"),
    ],
)
def test_a_cpu_without_bf16_instructions_trains_in_fp32(
    instructions: dict[str, bool], wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from training.setup import precision_on

    recipe = read_recipe(find_recipe("fpt-unet"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions, raising=False)
    assert precision_on("cpu", recipe) == wanted
    assert precision_on("cpu", dataclasses.replace(recipe, precision="bf16")) == "bf16"


@pytest.mark.skipif(
    not Path("/proc/cpuinfo").exists(), reason="the system does not list a CPU's instructions"
)
def test_the_instructions_for_bf16_are_those_that_the_system_lists() -> None:
    from training.setup import precision_on

    listed = {"amx_bf16", "avx512_bf16", "bf16"} & set(Path("/proc/cpuinfo").read_text().split())
    assert precision_on("cpu", read_recipe(find_recipe("fpt-unet"))) == ("bf16" if listed else "fp32")
