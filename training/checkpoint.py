"""What a run keeps on disk, each file whole or not there at all.

    RUN/state.safetensors     everything that learns, as of the last save; what a run resumes from
    RUN/run.json              the recipe, the step and the versions, for people and programs
    RUN/checkpoints/step-0012000.safetensors        averaged weights of the generator, with step and epoch
    RUN/checkpoints/back-0012000.safetensors        of the generator for the way back, where there is one

All tensors are safetensors': no file of a run can bring code with it. The state's own header says which step
and which recipe it belongs to, so no two files have to agree.
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

from engines.errors import StreamtoonError
from engines.files import replace_file
from training.recipe import Recipe
from training.system import System

STATE, RUN_FACTS, CHECKPOINTS = "state.safetensors", "run.json", "checkpoints"
MAY_CHANGE = {"card", "checkpoints", "data.show", "epochs", "steps"}
"""Keys of a recipe that a run may resume under other values of."""


def save_state(folder: Path, system: System, recipe: Recipe, step: int, facts: Mapping[str, Any]) -> None:
    """Replaces the run's state, then its facts. `facts` are added to those that are always there.

    Raises StreamtoonError where that cannot be written; what was saved before stays.
    """
    header = {"step": str(step), "recipe": json.dumps(plain(recipe))}
    told = {"step": step, **facts, "versions": versions(), "recipe": plain(recipe)}
    try:
        replace_file(folder / STATE, lambda part: save_file(_tensors(system), part, header))
        replace_file(folder / RUN_FACTS, lambda part: part.write_text(json.dumps(told, indent=2) + "\n"))
    except (OSError, SafetensorError) as error:
        raise StreamtoonError(
            f"{folder} cannot be written ({error}); what was saved before is still there"
        ) from error


def load_state(folder: Path, system: System, recipe: Recipe) -> int:
    """Puts everything back as it was saved; the step that comes next.

    Raises StreamtoonError where there is no state, it is damaged, or it belongs to another recipe.
    """
    file = folder / STATE
    if not file.is_file():
        raise StreamtoonError(f"{folder} has no run to resume; leave --resume away to start one")
    try:
        with safe_open(file, framework="pt") as stored:
            header = stored.metadata()
            _demand_same(json.loads(header["recipe"]), plain(recipe), folder)
            _restore(system, {key: stored.get_tensor(key) for key in stored.keys()})  # noqa: SIM118
            return int(header["step"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StreamtoonError(
            f"{file} is damaged or not a run's state ({error}); start the run anew in another folder"
        ) from error


def save_checkpoint(folder: Path, system: System, recipe: Recipe, step: int, epoch: float) -> Path:
    """Keeps the averaged weights of this step. The file of the generator that is shipped."""
    header = {"step": str(step), "epoch": f"{epoch:.4f}", "generator": recipe.generator}
    (folder / CHECKPOINTS).mkdir(exist_ok=True)
    file = folder / CHECKPOINTS / f"step-{step:07d}.safetensors"
    if system.back:
        weights = _contiguous(system.back.average.state_dict())
        back = file.with_name(f"back-{step:07d}.safetensors")
        replace_file(back, lambda part: save_file(weights, part, header))
    weights = _contiguous(system.there.average.state_dict())
    replace_file(file, lambda part: save_file(weights, part, header))
    return file


def versions() -> dict[str, str]:
    """Of what a result depends on."""
    return {name: version(name) for name in ("streamtoon", "torch", "lightning-fabric", "numpy")}


def plain(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON knows it, every key and value that it came to."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return values


def _demand_same(then: Mapping[str, Any], now: Mapping[str, Any], folder: Path, prefix: str = "") -> None:
    for key in sorted(then.keys() | now.keys()):
        old, new = then.get(key), now.get(key)
        if old == new or prefix + key in MAY_CHANGE:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            _demand_same(old, new, folder, f"{prefix}{key}.")
            continue
        raise StreamtoonError(
            f"{folder} was begun with {prefix}{key} = {old!r}, the recipe now says {new!r}; "
            "resume with the old value or start another run"
        )


def _contiguous(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in state.items()}


def _tensors(system: System) -> dict[str, Tensor]:
    """Networks, optimizers and histories as one flat table: PART:NAME:KEY -> tensor."""
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


def _restore(system: System, tensors: Mapping[str, Tensor]) -> None:
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
                if value.shape == weight.shape:  # laid out as the weight is, as it was before it was saved
                    values[field] = torch.empty_like(weight).copy_(value)
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    for name, adversary in system.adversaries().items():
        adversary.history.pictures = list(part("history", name).get("pictures", torch.empty(0)))
