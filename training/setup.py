"""Prepares a run: the device, VGG's weights, the start style and the teacher."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import nn

from engines.errors import StreamtoonError
from engines.generators import create as create_generator
from engines.generators import find
from engines.imaging.field_blocks import BLOCK
from engines.pretrained.downloads import FILES, find_weights
from engines.pretrained.vgg import VGG
from engines.registry.style import load_style
from training.discriminators import create
from training.optimizers import to_device
from training.ranks import LaunchedEnvironment, is_launched, join_restarted
from training.recipe import FEATURE_TERMS, Recipe, RecipeError
from training.train_step import TrainingSystem

TrainingPrecision = Literal["fp32", "bf16", "fp16"]
FABRIC_PRECISIONS: dict[TrainingPrecision, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


def precision_on(device: str, recipe: Recipe) -> TrainingPrecision:
    """Return the precision that a recipe is trained in on "cpu" or "cuda"."""
    if recipe.precision != "auto":
        return recipe.precision
    return "bf16" if _computes_bf16(device) else "fp32"


def _computes_bf16(device: str) -> bool:
    """Return whether a device has instructions for bf16.

    A CPU without them takes ten times as long in bf16 as in fp32. False for a CPU if torch is too old to list
    its instructions.
    """
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    listed: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(listed.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))


def open_fabric(recipe: Recipe, device: str = "auto", devices: int = 1) -> Fabric:
    """Set up this process's device, and the other processes of the training.

    Where torchrun or Ray Train started this process, they decide how many there are. Otherwise this process
    starts the others.

    Args:
        recipe: The recipe.
        device: auto, cpu or cuda.
        devices: The number of processes, each with a GPU of its own on cuda.

    Raises:
        RecipeError: The device does not support the recipe's precision.
        StreamtoonError: GPUs are missing, or `devices` contradicts the launcher.
    """
    # Fabric logs every setting at INFO level.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and recipe.precision == "fp16":
        raise RecipeError(
            f'recipe {recipe.name}: precision = "fp16" needs a GPU; allowed on a CPU are "bf16" and "fp32"'
        )
    launched = is_launched()
    if launched:
        world_size = int(os.environ["WORLD_SIZE"])
        if devices not in (1, world_size):
            raise StreamtoonError(
                f"--devices {devices} was requested, but the launcher started {world_size} processes; leave "
                "out --devices"
            )
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        join_restarted("nccl" if device == "cuda" else "gloo")
    if device == "cuda" and torch.cuda.device_count() < devices:
        raise StreamtoonError(
            f"{devices} GPUs were requested, but only {torch.cuda.device_count()} are available; "
            "request fewer, or use --device cpu"
        )
    fabric = Fabric(
        accelerator=device,
        devices=devices,
        precision=FABRIC_PRECISIONS[precision_on(device, recipe)],
        strategy="ddp" if launched or devices > 1 else "auto",
        plugins=[LaunchedEnvironment()] if launched else None,
    )
    fabric.launch()
    return fabric


def load_vggs(recipe: Recipe, fabric: Fabric, files: dict[str, Path]) -> tuple[VGG | None, VGG | None]:
    """Load VGG for the feature terms, and VGG-16 for discriminators on features. Each is None if not used.

    Raises StreamtoonError where the weights cannot be downloaded or are not VGG's.
    """
    layers = create(recipe.adversary.discriminator).layers if recipe.weights.discriminator_views() else ()
    network, layer = recipe.features.network, recipe.features.layer
    needs_features = bool(recipe.terms() & FEATURE_TERMS)
    if needs_features and layers and network == "vgg16":
        shared = _vgg("vgg16", max(layer, *layers), recipe, fabric, files)
        return shared, shared
    feature_vgg = _vgg(network, layer, recipe, fabric, files) if needs_features else None
    return feature_vgg, _vgg("vgg16", max(layers), recipe, fabric, files) if layers else None


def _vgg(
    name: Literal["vgg16", "vgg19"], deepest: str, recipe: Recipe, fabric: Fabric, files: dict[str, Path]
) -> VGG:
    vgg = to_device(VGG(name, find_weights(FILES[name], files.get(name)), deepest), fabric.device)
    # Under autocast, frozen weights would be cast again in every pass.
    arithmetic = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    vgg.convolutions.to(arithmetic[precision_on(fabric.device.type, recipe)])
    return vgg


def start_from(recipe: Recipe, system: TrainingSystem) -> None:
    """Load the weights of the style that the recipe starts from.

    Raises StyleError if there is no such style, RecipeError if its network is a different one.
    """
    style = load_style(recipe.start)
    if style.generator != recipe.generator:
        raise RecipeError(
            f"recipe {recipe.name}: start = {recipe.start!r} has the network {style.generator}; allowed "
            f"for generator = {recipe.generator!r} is a style with that network"
        )
    weights = load_file(style.weights)
    system.forward.generator.load_state_dict(weights)
    system.forward.average.load_state_dict(weights)


def load_teacher(recipe: Recipe, fabric: Fabric) -> nn.Module | None:
    """Load the generator of the recipe's teacher style; None without a teacher. Raises StyleError."""
    if not recipe.teacher:
        return None
    style = load_style(recipe.teacher)
    weights = load_file(style.weights)
    generator = create_generator(style.generator)
    generator.load_state_dict(weights)
    return to_device(generator, fabric.device).requires_grad_(False).eval()


def require_sizes(recipe: Recipe, processes: int) -> None:
    """Raise RecipeError if the crop size does not fit the network, or the batch the number of processes."""
    if recipe.batch % processes:
        raise RecipeError(
            f"recipe {recipe.name}: batch = {recipe.batch}; allowed for {processes} devices is a "
            f"multiple of {processes}"
        )
    multiple = int(getattr(find(recipe.generator), "size_multiple"))  # noqa: B009
    if recipe.makes_fields:  # fields are measured in blocks
        multiple *= 2 * BLOCK
    needed = multiple * (2 if "scale" in recipe.terms() else 1)
    if recipe.data.crop % needed:
        raise RecipeError(
            f"recipe {recipe.name}: data.crop = {recipe.data.crop}; allowed for generator = "
            f"{recipe.generator!r} and these weights is a multiple of {needed}"
        )
