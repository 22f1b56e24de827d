"""Checks that a built engine matches its style's network, on photographs, before it is used."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from engines.common.arrays import Image
from engines.errors import EngineError
from engines.export.calibration_images import calibration_images, to_samples
from engines.export.tasks import Samples, Task
from engines.export.typed_onnx import task_network
from engines.registry.style import Style
from engines.spec import Precision

MIN_PSNR_DB = {"fp32": 50.0, "bf16": 35.0, "fp16": 45.0, "int8": 35.0, "fp8": 35.0}
"""Lowest PSNR of all outputs relative to fp32, dB, by precision."""
IMAGE_STEP = 2
"""Every second photograph is used: the network in fp32 on the CPU takes seconds for each."""


def psnr(ours: Samples, theirs: Samples) -> float:
    """Return the PSNR of all samples of all arrays together, dB; infinite if they are equal."""
    squares = sum(float(((a.astype(float) - b) ** 2).sum()) for a, b in zip(ours, theirs, strict=True))
    if not squares:
        return math.inf
    return 10 * math.log10(255**2 * sum(part.size for part in ours) / squares)


def reference(style: Style, task: Task, sources: Sequence[Samples]) -> list[Samples]:
    """Return the network's output for each source in fp32, computed by torch on the CPU at full strength."""
    network = task_network(style, task, half=False)
    numbers = [torch.ones(1) for _ in task.numbers]
    drawn: list[Samples] = []
    with torch.inference_mode():
        for source in sources:
            made = network(*(torch.from_numpy(part)[None] for part in source), *numbers)
            drawn.append(tuple(part[0].numpy() for part in made))
    return drawn


def check_parity(
    draw: Callable[[list[Samples]], list[Samples]],
    style: Style,
    task: Task,
    batch: int,
    precision: Precision,
    images: Sequence[Image] | None = None,
) -> float:
    """Compare an engine's output with its style's. Return the PSNR of the worst photograph, dB.

    Args:
        draw: Maps a batch of inputs to the batch of the engine's outputs.
        style: The style whose network is the reference.
        task: What the engine computes.
        batch: Its batch size. Every place of a batch is tested, with a different image in each.
        precision: The engine's precision, which decides the minimum.
        images: Photographs, H x W x 3 RGB; None for `calibration_images`.

    Raises:
        EngineError: The PSNR is below `MIN_PSNR_DB`, or the outputs have other shapes.
    """
    chosen = list(images if images is not None else calibration_images()[::IMAGE_STEP])
    # Flipped copies double the number of images, so that mixed-up places of a batch are detected.
    chosen += [np.ascontiguousarray(image[::-1]) for image in chosen]
    sources = [to_samples(image, task) for image in chosen]
    expected = reference(style, task, sources)
    worst = math.inf
    for first in range(0, max(len(sources), batch), batch):
        places = [(first + at) % len(sources) for at in range(batch)]
        for at, made in zip(places, draw([sources[at] for at in places]), strict=True):
            if [part.shape for part in made] != [*task.gives.values()]:
                raise EngineError("the engine's output has the wrong size; the engine is not used")
            worst = min(worst, psnr(made, expected[at]))
    if not worst >= MIN_PSNR_DB[precision]:
        raise EngineError(
            f"the {precision} engine does not match style {style.name} closely enough (PSNR {worst:.1f} dB, "
            f"minimum {MIN_PSNR_DB[precision]:g} dB); it is not used; choose another precision"
        )
    return worst
