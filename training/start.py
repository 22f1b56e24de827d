"""What a run sets out with: the machine, VGG's weights, a style's weights."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import nn

from engines.errors import StreamtoonError
from engines.generators import create as create_generator
from engines.generators import find
from engines.style import load_style
from engines.vgg import VGG
from engines.weight_files import FILES, find_weights
from training.discriminators import create
from training.optimizers import placed
from training.recipe import SEES_FEATURES, Recipe, RecipeError
from training.system import System

PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


def open_fabric(recipe: Recipe, device: str = "auto", devices: int = 1) -> Fabric:
    """The machine to train on: `device` is auto, cpu or cuda, `devices` how many of them (DDP).

    Raises RecipeError for a precision that the device does not have.
    """
    # It tells of every choice that it was given.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and recipe.precision == "fp16":
        raise RecipeError(
            f'recipe {recipe.name}: precision = "fp16" needs a GPU; allowed on a CPU are "bf16" and "fp32"'
        )
    if device == "cuda" and torch.cuda.device_count() < devices:
        raise StreamtoonError(
            f"{devices} GPUs were asked for and {torch.cuda.device_count()} are there; "
            "ask for fewer, or for --device cpu"
        )
    fabric = Fabric(
        accelerator=device,
        devices=devices,
        precision=PRECISIONS[recipe.precision],
        strategy="ddp" if devices > 1 else "auto",
    )
    fabric.launch()
    return fabric


def load_vggs(recipe: Recipe, fabric: Fabric, files: dict[str, Path]) -> tuple[VGG | None, VGG | None]:
    """VGG for the terms on features and VGG-16 for discriminators that look at features, where they are used.

    Raises StreamtoonError where weights cannot be had or are not VGG's.
    """
    layers = create(recipe.adversary.discriminator).layers if recipe.weights.judges() else ()
    network, layer = recipe.features.network, recipe.features.layer
    looking = bool(recipe.terms() & SEES_FEATURES)
    if looking and layers and network == "vgg16":
        shared = _vgg("vgg16", max(layer, *layers), recipe, fabric, files)
        return shared, shared
    looks = _vgg(network, layer, recipe, fabric, files) if looking else None
    return looks, _vgg("vgg16", max(layers), recipe, fabric, files) if layers else None


def _vgg(
    name: Literal["vgg16", "vgg19"], deepest: str, recipe: Recipe, fabric: Fabric, files: dict[str, Path]
) -> VGG:
    vgg = placed(VGG(name, find_weights(FILES[name], files.get(name)), deepest), fabric.device)
    # Frozen weights would be cast anew in every pass under autocast.
    arithmetic = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    vgg.convolutions.to(arithmetic[recipe.precision])
    return vgg


def start_from(recipe: Recipe, system: System) -> None:
    """Takes the weights of the style that the recipe sets out from.

    Raises StyleError where there is no such style, RecipeError where its network is another.
    """
    style = load_style(recipe.start)
    if style.generator != recipe.generator:
        raise RecipeError(
            f"recipe {recipe.name}: start = {recipe.start!r} is a {style.generator}; allowed for generator = "
            f"{recipe.generator!r} is a style of that network"
        )
    weights = load_file(style.weights)
    system.there.generator.load_state_dict(weights)
    system.there.average.load_state_dict(weights)


def load_teacher(recipe: Recipe, fabric: Fabric) -> nn.Module | None:
    """The generator of the style that the recipe learns from, where there is one. Raises StyleError."""
    if not recipe.teacher:
        return None
    style = load_style(recipe.teacher)
    weights = load_file(style.weights)
    generator = create_generator(style.generator)
    generator.load_state_dict(weights)
    return placed(generator, fabric.device).requires_grad_(False).eval()


def check_sizes(recipe: Recipe, processes: int) -> None:
    """Raises RecipeError where the network cannot take crops of the recipe's size, or processes its batch."""
    if recipe.batch % processes:
        raise RecipeError(
            f"recipe {recipe.name}: batch = {recipe.batch}; "
            f"allowed for {processes} devices is a multiple of {processes}"
        )
    multiple = int(getattr(find(recipe.generator), "size_multiple"))  # noqa: B009
    needed = multiple * (2 if "scale" in recipe.terms() else 1)
    if recipe.data.crop % needed:
        raise RecipeError(
            f"recipe {recipe.name}: data.crop = {recipe.data.crop}; "
            f"allowed for generator = {recipe.generator!r} and these weights is a multiple of {needed}"
        )
