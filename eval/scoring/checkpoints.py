"""A run's checkpoints as candidates: the generator alone, as it was after that training step."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from engines.common.arrays import Image
from engines.errors import StreamtoonError
from engines.generators import FIELD_GENERATORS, create
from engines.imaging.working_size import extend
from engines.looks.stills import draw_still
from eval.scoring.candidates import Candidate, GeneratedImages

FOLDER = "checkpoints"
Draw = Callable[[Image], Image]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint of a run, ordered by step."""

    path: Path
    back: Path | None
    """The generator of the reverse direction, if the run has one."""
    step: int
    epoch: float

    def open(self) -> Candidate:
        """Open its generator, without a guided filter or with the default look.

        Raises StreamtoonError as `open_generator` does.
        """
        facts = {"checkpoint": self.path.name, "step": self.step, "epoch": self.epoch}
        back = open_generator(self.back) if self.back else None
        return GeneratedImages(f"step {self.step:,}", open_generator(self.path), facts, back)


def find_checkpoints(run: Path) -> list[Checkpoint]:
    """Return the checkpoints in a run's folder by step.

    Raises StreamtoonError if there is none, or if one cannot be read.
    """
    folder = run / FOLDER
    files = sorted(file for file in folder.glob("step-*.safetensors") if re.search(r"-\d+$", file.stem))
    if not files:
        raise StreamtoonError(f"{run} has no checkpoints; give the folder of a run of `streamtoon train`")
    found = []
    for file in files:
        header = _header(file)
        back = file.with_name(file.name.replace("step-", "back-", 1))
        try:
            step, epoch = int(header["step"]), float(header["epoch"])
        except (KeyError, ValueError) as error:
            raise StreamtoonError(f"{file} is not a checkpoint of a run: its header has no step") from error
        found.append(Checkpoint(file, back if back.is_file() else None, step, epoch))
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def open_generator(file: Path) -> Draw:
    """Open a weights file whose header names its generator, as a function of images of any size.

    It runs in torch, on a GPU if there is one. Raises StreamtoonError for any other file.
    """
    header = _header(file)
    if "generator" not in header:
        raise StreamtoonError(f"the header of {file} names no generator; give a checkpoint of a run")
    network = create(header["generator"])
    try:
        with safe_open(file, framework="pt") as stored:
            network.load_state_dict({key: stored.get_tensor(key) for key in stored.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, RuntimeError) as error:  # torch's message is a list of many lines
        raise StreamtoonError(
            f"{file} is damaged, or does not contain the weights of {header['generator']}"
        ) from error
    device = "cuda" if torch.cuda.is_available() else "cpu"
    placed = network.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    if header["generator"] in FIELD_GENERATORS:
        return partial(draw_still, partial(_run, placed))
    return partial(_draw, placed)


def _header(file: Path) -> dict[str, str]:
    try:
        with safe_open(file, framework="pt") as stored:
            return dict(stored.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise StreamtoonError(f"{file} is not a readable file of weights ({error})") from error


def _draw(generator: nn.Module, photo: Image) -> Image:
    multiple = int(generator.size_multiple)  # type: ignore[arg-type]
    height, width = photo.shape[:2]
    padded = extend(photo, height + -height % multiple, width + -width % multiple)
    return np.ascontiguousarray(_run(generator, padded)[:height, :width])


@torch.inference_mode()
def _run(generator: nn.Module, image: Image) -> Image:
    """Run the generator on an image. Input and output are height x width x channels in code values."""
    device = next(generator.parameters()).device
    given = (
        torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
    )
    drawn = generator(given.contiguous(memory_format=torch.channels_last))[0]
    values = ((drawn.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0)
    return np.ascontiguousarray(values.cpu().numpy())
