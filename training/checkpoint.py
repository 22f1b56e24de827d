"""The files of a run. Each is written completely or not at all.

    RUN/state.safetensors     everything that learns, at the last save; a run resumes from it
    RUN/run.json              the recipe, the step and the versions, for people and programs
    RUN/checkpoints/step-0012000.safetensors        averaged weights of the generator, with step and epoch
    RUN/checkpoints/back-0012000.safetensors        the same of the backward generator, where there is one

All tensors are stored as safetensors, so no file of a run can contain code. The header of the state file
names its step and its recipe, so the files of a run cannot contradict each other.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from engines.common.atomic_write import replace_file
from engines.errors import StreamtoonError
from training.recipe import RENAMED_KEYS, Recipe
from training.train_step import TrainingSystem

STATE, RUN_FACTS, CHECKPOINTS = "state.safetensors", "run.json", "checkpoints"
CHANGEABLE_KEYS = {"card", "checkpoints", "data.show", "epochs", "steps"}
"""Keys of a recipe that may change when a run resumes."""


def save_state(
    folder: Path, system: TrainingSystem, recipe: Recipe, step: int, facts: Mapping[str, Any]
) -> None:
    """Replace the run's saved state, then run.json. `facts` are added to the standard entries of run.json.

    Raises StreamtoonError if they cannot be written; the previous save stays intact.
    """
    header = {"step": str(step), "recipe": json.dumps(plain(recipe))}
    told = {"step": step, **facts, "versions": versions(), "recipe": plain(recipe)}
    try:
        replace_file(folder / STATE, lambda part: save_file(_tensors(system), part, header))
        replace_file(folder / RUN_FACTS, lambda part: part.write_text(json.dumps(told, indent=2) + "\n"))
    except (OSError, SafetensorError) as error:
        raise StreamtoonError(
            f"{folder} cannot be written ({error}); the previous save is still intact"
        ) from error


def load_state(folder: Path, system: TrainingSystem, recipe: Recipe) -> int:
    """Restore everything as it was saved, and return the number of the next step.

    Raises StreamtoonError if there is no saved state, it is damaged, or it belongs to another recipe.
    """
    file = folder / STATE
    if not file.is_file():
        raise StreamtoonError(f"{folder} has no run to resume; leave out --resume to start one")
    try:
        with safe_open(file, framework="pt") as stored:
            header = stored.metadata()
            _require_same(json.loads(header["recipe"]), plain(recipe), folder)
            _restore(system, {key: stored.get_tensor(key) for key in stored.keys()})  # noqa: SIM118
            return int(header["step"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StreamtoonError(
            f"{file} is damaged or is not a run's saved state ({error}); start again in another folder"
        ) from error


def save_checkpoint(folder: Path, system: TrainingSystem, recipe: Recipe, step: int, epoch: float) -> Path:
    """Save the averaged weights of this step. Returns the file of the forward generator."""
    header = {"step": str(step), "epoch": f"{epoch:.4f}", "generator": recipe.generator}
    (folder / CHECKPOINTS).mkdir(exist_ok=True)
    file = folder / CHECKPOINTS / f"step-{step:07d}.safetensors"
    if system.backward:
        weights = _contiguous(system.backward.average.state_dict())
        back = file.with_name(f"back-{step:07d}.safetensors")
        replace_file(back, lambda part: save_file(weights, part, header))
    weights = _contiguous(system.forward.average.state_dict())
    replace_file(file, lambda part: save_file(weights, part, header))
    return file


def versions() -> dict[str, str]:
    """Return the versions of the packages that a result depends on."""
    return {name: version(name) for name in ("streamtoon", "torch", "lightning-fabric", "numpy")}


def plain(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe with all its keys and values as JSON types."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return values


def _require_same(then: Mapping[str, Any], now: Mapping[str, Any], folder: Path, prefix: str = "") -> None:
    for key in then.keys() & RENAMED_KEYS.keys():
        raise StreamtoonError(
            f"{folder} was started with the key {prefix}{key}, which is now called "
            f"{prefix}{RENAMED_KEYS[key]}; resume with the version that started it, or start another run"
        )
    for key in sorted(then.keys() | now.keys()):
        old, new = then.get(key), now.get(key)
        if old == new or prefix + key in CHANGEABLE_KEYS:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            _require_same(old, new, folder, f"{prefix}{key}.")
            continue
        raise StreamtoonError(
            f"{folder} was started with {prefix}{key} = {old!r}, but the recipe now says {new!r}; "
            "resume with the old value, or start another run"
        )


def _contiguous(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in state.items()}


def _tensors(system: TrainingSystem) -> dict[str, Tensor]:
    """Return networks, optimizers and pools as one flat table: PART:NAME:KEY -> tensor."""
    tensors: dict[str, Tensor] = {}
    for name, network in system.networks().items():
        tensors |= {f"network:{name}:{key}": value for key, value in network.state_dict().items()}
    for name, optimizer in system.optimizers().items():
        for at, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer:{name}:{at}.{key}": torch.as_tensor(v) for key, v in values.items()
                        if v is not None}  # fmt: skip
    for name, adversary in system.adversaries().items():
        if adversary.history.pictures:
            tensors[f"history:{name}:pictures"] = torch.stack(adversary.history.pictures)
    return _contiguous(tensors)


def _restore(system: TrainingSystem, tensors: Mapping[str, Tensor]) -> None:
    def part(kind: str, name: str) -> dict[str, Tensor]:
        start = f"{kind}:{name}:"
        return {key.removeprefix(start): value for key, value in tensors.items() if key.startswith(start)}

    for name, network in system.networks().items():
        network.load_state_dict(part("network", name))
    for name, optimizer in system.optimizers().items():
        state: dict[int, dict[str, Tensor]] = {}
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        for key, value in part("optimizer", name).items():
            at, _, field = key.partition(".")
            state.setdefault(int(at), {})[field] = value
        groups = optimizer.state_dict()["param_groups"]
        for weight, values in ((weights[at], values) for at, values in state.items()):
            for field, value in values.items():
                if value.shape == weight.shape:  # use the weight's memory layout, as before the save
                    values[field] = torch.empty_like(weight).copy_(value)
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    for name, adversary in system.adversaries().items():
        adversary.history.pictures = list(part("history", name).get("pictures", torch.empty(0)))
