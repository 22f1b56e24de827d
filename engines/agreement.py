"""Whether a built engine draws what its style's network draws: measured on photographs before it is used."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from engines.backends.base import PlanesTask, Precision
from engines.errors import EngineError
from engines.half import planes_network
from engines.photographs import as_planes, photographs
from engines.picture_files import Image
from engines.reuse import Planes
from engines.style import Style

LEAST = {"fp32": 50.0, "bf16": 35.0, "fp16": 45.0, "int8": 35.0, "fp8": 35.0}
"""dB of PSNR over all three planes against fp32, by precision."""
EVERY = 2
"""Of the photographs one in so many: a network in fp32 on the processor takes seconds for each."""


def psnr(ours: Planes, theirs: Planes) -> float:
    """Of all samples of three planes together, in dB; infinite where they are the same."""
    squares = sum(float(((a.astype(float) - b) ** 2).sum()) for a, b in zip(ours, theirs, strict=True))
    if not squares:
        return math.inf
    return 10 * math.log10(255**2 * sum(plane.size for plane in ours) / squares)


def reference(style: Style, task: PlanesTask, sources: Sequence[Planes]) -> list[Planes]:
    """What the style's network draws in fp32 by torch on the processor, at full strength."""
    network = planes_network(style, task, half=False)
    drawn = []
    with torch.inference_mode():
        for planes in sources:
            y, u, v = (torch.from_numpy(plane)[None, None] for plane in planes)
            cartoon = network(y, u, v, torch.ones(1))
            drawn.append(tuple(plane[0, 0].numpy() for plane in cartoon))
    return [(y, u, v) for y, u, v in drawn]


def demand_agreement(
    draw: Callable[[list[Planes]], list[Planes]],
    style: Style,
    task: PlanesTask,
    batch: int,
    precision: Precision,
    images: Sequence[Image] | None = None,
) -> float:
    """The PSNR of the photograph that fares worst, in dB.

    `draw` gives the cartoons of a whole batch; every place of it is tried, and no two hold the same picture.
    Raises EngineError where it is below `LEAST`, or where the engine gives planes of other shapes.
    """
    chosen = list(images if images is not None else photographs()[::EVERY])
    sources = [as_planes(image, task) for image in chosen]
    # Mirrored and upside down, a few photographs are many: places of a batch that were mixed up are seen.
    sources += [tuple(np.ascontiguousarray(p[::-1]) for p in planes) for planes in sources]  # type: ignore[misc]
    expected = reference(style, task, sources)
    worst = math.inf
    for first in range(0, max(len(sources), batch), batch):
        places = [(first + at) % len(sources) for at in range(batch)]
        for at, cartoon in zip(places, draw([sources[at] for at in places]), strict=True):
            if [plane.shape for plane in cartoon] != [plane.shape for plane in sources[at]]:
                raise EngineError("the engine built here draws planes of other sizes: it is not used")
            worst = min(worst, psnr(cartoon, expected[at]))
    if not worst >= LEAST[precision]:
        raise EngineError(
            f"the engine built in {precision} draws otherwise than style {style.name} ({worst:.1f} dB, "
            f"needed are {LEAST[precision]:g}): it is not used; choose another precision"
        )
    return worst
