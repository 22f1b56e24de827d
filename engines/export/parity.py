"""Whether a built engine draws what its style's network draws: measured on photographs before it is used."""

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
"""dB of PSNR over all that a graph gives against fp32, by precision."""
IMAGE_STEP = 2
"""Of the photographs one in so many: a network in fp32 on the processor takes seconds for each."""


def psnr(ours: Samples, theirs: Samples) -> float:
    """Of all samples of all arrays together, in dB; infinite where they are the same."""
    squares = sum(float(((a.astype(float) - b) ** 2).sum()) for a, b in zip(ours, theirs, strict=True))
    if not squares:
        return math.inf
    return 10 * math.log10(255**2 * sum(part.size for part in ours) / squares)


def reference(style: Style, task: Task, sources: Sequence[Samples]) -> list[Samples]:
    """What the style's network makes of pictures in fp32 by torch on the processor, at full strength."""
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
    """The PSNR of the photograph that fares worst, in dB.

    `draw` gives what is made of a whole batch; every place of it is tried, and no two hold the same picture.
    Raises EngineError where it is below `MIN_PSNR_DB`, or where the engine gives arrays of other shapes.
    """
    chosen = list(images if images is not None else calibration_images()[::IMAGE_STEP])
    # Upside down, a few photographs are many: places of a batch that were mixed up are seen.
    chosen += [np.ascontiguousarray(image[::-1]) for image in chosen]
    sources = [to_samples(image, task) for image in chosen]
    expected = reference(style, task, sources)
    worst = math.inf
    for first in range(0, max(len(sources), batch), batch):
        places = [(first + at) % len(sources) for at in range(batch)]
        for at, made in zip(places, draw([sources[at] for at in places]), strict=True):
            if [part.shape for part in made] != [*task.gives.values()]:
                raise EngineError("the engine built here draws pictures of other sizes: it is not used")
            worst = min(worst, psnr(made, expected[at]))
    if not worst >= MIN_PSNR_DB[precision]:
        raise EngineError(
            f"the engine built in {precision} draws otherwise than style {style.name} ({worst:.1f} dB, "
            f"needed are {MIN_PSNR_DB[precision]:g}): it is not used; choose another precision"
        )
    return worst
