"""A plan that is wanted: what it draws, how exactly, and the typed graph for it. Needs no TensorRT."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from engines.backends.base import PRECISIONS, PlanesTask, Precision
from engines.backends.tensorrt.settings import Settings
from engines.errors import EngineError, StyleError
from engines.half import INPUTS, export_planes, planes_network
from engines.on_device import filter_eps, filter_radius, planes_task
from engines.photographs import as_planes, photographs
from engines.picture import Colour, Picture
from engines.plan_cache import PlanEntry
from engines.qdq import measure_ranges, quantize
from engines.style import CARD, LITE, WEIGHTS, Style, load_style
from engines.working_size import Quality, WorkingSize, working_scale

ENGINES = Path(__file__).parents[2]
TOGETHER = 4
"""Pictures a batch where pictures a second count: each number is an engine of its own, too dear to try."""
LARGEST = TOGETHER * 1280 * 720
"""Pixels of such a batch."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One plan: what it draws, how exactly, and where."""

    style: Style
    task: PlanesTask
    batch: int
    precision: Precision
    gpu: int = 0
    via: str = "onnx"
    settings: Settings = field(default_factory=Settings)

    @property
    def device(self) -> torch.device:
        """In torch's words."""
        return torch.device("cuda", self.gpu)

    def __str__(self) -> str:
        size = f"{self.task.width}x{self.task.height}"
        return f"style {self.style.name} at {size}, {self.batch} at a time, {self.precision}"


def made_of(wanted: Wanted) -> str:
    """SHA-256 of all that the graph is made of: weights, task, precision, and the code that makes it.

    The graph itself takes half a minute to make, and is the same wherever these are.
    """
    _ = wanted.style.weights  # a style that is a graph alone says so here
    parts = hashlib.sha256()
    for text in (wanted.style.sha256[WEIGHTS], repr(wanted.task), str(wanted.batch), torch.__version__):
        parts.update(f"{text}\n".encode())
    for file in sorted(ENGINES.rglob("*.py")):
        parts.update(file.relative_to(ENGINES).as_posix().encode() + b"\n" + file.read_bytes())
    return parts.hexdigest()


def wanted_for(
    style: Style,
    width: int,
    height: int,
    *,
    quality: Quality = "full",
    colour: Colour | None = None,
    precision: Precision = "fp16",
    gpu: int = 0,
    live: bool = False,
    via: str = "onnx",
    settings: Settings | None = None,
) -> Wanted:
    """The plan that `engines.engine` asks for when a video of that size and colour comes; needs no GPU.

    `live`: one picture at a time. Raises EngineError for a style without the lite network asked for.
    """
    form = style.lite if quality == "lite" else style
    if form is None:
        raise EngineError(f"style {style.name} has no lite network: take quality full or fast")
    colour = colour or Colour()
    scale = working_scale(quality, None, form.working_height, height, width)
    size = WorkingSize.of(height, width, scale, form.size_multiple)
    luma = np.zeros((height, width), np.uint8)
    chroma = np.zeros((-(-height // 2), -(-width // 2)), np.uint8)
    picture = Picture(luma, chroma, chroma, 0, Fraction(1), colour=colour)
    radius, eps = filter_radius(form, size), filter_eps(form, colour)
    task = planes_task(picture, size, radius=radius, eps=eps, lines=form.lines)
    batch = batch_of(task, throughput=not live)
    return Wanted(form, task, batch, precision, gpu, via, settings or Settings())


def batch_of(task: PlanesTask, throughput: bool) -> int:
    """Pictures a batch: `TOGETHER`, or fewer of large ones, where pictures a second count; else one."""
    if not throughput:
        return 1
    return max(1, min(TOGETHER, LARGEST // (task.height * task.width)))


def wanted_of(entry: PlanEntry, gpu: int) -> Wanted:
    """What a kept plan was built for. Raises EngineError where that or its style cannot be read any more."""
    facts = entry.facts
    try:
        folder = Path(str(facts["folder"]))
        is_lite = folder.name == LITE and (folder.parent / CARD).is_file()
        style = load_style(folder.parent if is_lite else folder)
        values = json.loads(str(facts["task"]))
        task = PlanesTask(**{**values, "size": WorkingSize(**values["size"])})
        settings = Settings(int(facts["level"]), int(facts["workspace"]))
        precision = next(known for known in PRECISIONS if known == entry.key.precision)
        batch = int(facts["batch"])
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration, StyleError) as error:
        raise EngineError(f"it cannot be told what this engine draws ({error}): it is not used") from error
    form = style.lite if is_lite else style
    if form is None:
        raise EngineError(f"style {style.name} has no lite network any more: this engine is not used")
    return Wanted(form, task, batch, precision, gpu, entry.key.via, settings)


def typed_graph(wanted: Wanted) -> bytes:
    """The ONNX graph whose types are the precision; needs no GPU."""
    network = planes_network(wanted.style, wanted.task, half=wanted.precision != "fp32")
    graph = export_planes(network, wanted.batch)
    if wanted.precision not in ("int8", "fp8"):
        return graph
    # Of every two photographs one calibrates; an engine is tried on the others.
    shown = [as_planes(image, wanted.task) for image in photographs()[1::2]]
    strength = np.ones(1, np.float32)
    feeds = [
        dict(zip(INPUTS, (np.stack([p[None]] * wanted.batch) for p in planes), strict=False))
        | {"strength": strength}
        for planes in shown
    ]
    return quantize(graph, wanted.precision, measure_ranges(graph, feeds))
