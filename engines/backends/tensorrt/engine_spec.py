"""The specification of an engine: what it computes, how precisely, and its typed graph. Needs no TensorRT."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engines.backends.frame_runner import fields_task, frame_task
from engines.backends.tensorrt.engine_cache import Facts, PlanEntry
from engines.backends.tensorrt.settings import BuilderSettings
from engines.errors import EngineError, StyleError
from engines.export.calibration_images import calibration_images, to_samples
from engines.export.tasks import FieldsTask, FrameTask, Task
from engines.export.typed_onnx import export_task, task_network
from engines.frame import ColorInfo, Frame
from engines.generators import margin_of
from engines.imaging.working_size import WorkingSize, field_size, working_scale
from engines.quantization.qdq import measure_ranges, quantize
from engines.registry.style import CARD, LITE, WEIGHTS, Style, load_style
from engines.spec import PRECISIONS, Precision, Quality

GRAPH_CODE = tuple(
    Path(__file__).parents[2] / name for name in ("export", "generators", "imaging", "quantization")
)
"""The folders with the code that makes a graph."""
MAX_BATCH = 4
"""Largest batch in throughput mode. Each batch size is an engine of its own: too slow to build several."""
MAX_BATCH_PIXELS = MAX_BATCH * 1280 * 720
"""Most pixels in such a batch."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """One engine: what it computes, how precisely, and on which GPU."""

    style: Style
    task: Task
    batch: int
    precision: Precision
    gpu: int = 0
    via: str = "onnx"
    settings: BuilderSettings = field(default_factory=BuilderSettings)

    @property
    def device(self) -> torch.device:
        """The GPU as a torch device."""
        return torch.device("cuda", self.gpu)

    def __str__(self) -> str:
        size = f"{self.task.width}x{self.task.height}"
        return f"style {_network_name(self.style)} at {size}, {self.batch} at a time, {self.precision}"


def graph_digest(spec: EngineSpec) -> str:
    """Return the SHA-256 of everything that the graph is made of: weights, task, precision, and code.

    Making the graph itself takes half a minute; equal digests mean equal graphs.
    """
    _ = spec.style.weights  # raises StyleError for a style without weights
    parts = hashlib.sha256()
    for text in (spec.style.sha256[WEIGHTS], repr(spec.task), str(spec.batch), torch.__version__):
        parts.update(f"{text}\n".encode())
    for file in sorted(file for folder in GRAPH_CODE for file in folder.rglob("*.py")):
        parts.update(f"{file.parent.name}/{file.name}\n".encode() + file.read_bytes())
    return parts.hexdigest()


def spec_for(
    style: Style,
    width: int,
    height: int,
    *,
    quality: Quality = "full",
    color: ColorInfo | None = None,
    precision: Precision = "fp16",
    gpu: int = 0,
    live: bool = False,
    via: str = "onnx",
    settings: BuilderSettings | None = None,
) -> EngineSpec:
    """Return the specification of the engine that a video of that size and colour needs; no GPU is needed.

    An engine of fields serves every colour, and every look that shares the network.

    Args:
        style: The style to render.
        width: Columns of the video, pixels.
        height: Rows of the video, pixels.
        quality: Chooses the working size and the network.
        color: Matrix and range of the video; the default is that of HD video.
        precision: Number format of the layers.
        gpu: Index of the GPU.
        live: One frame at a time, instead of batches.
        via: `onnx` or `torch2trt`.
        settings: The builder's settings; None for the defaults.

    Raises:
        EngineError: `quality` is `lite` and the style has no lite network.
    """
    if quality == "lite" and style.lite is None:
        raise EngineError(f"style {style.name} has no lite network; use --quality full or fast")
    form, color = style.form(quality), color or ColorInfo()
    settings = settings or BuilderSettings()
    if form.gives_fields:
        size_of_fields = field_size(quality, None, form.working_height, height, width, form.size_multiple)
        blocks = fields_task(size_of_fields)
        return EngineSpec(
            form, blocks, batch_size(blocks, throughput=not live), precision, gpu, via, settings
        )
    scale = working_scale(quality, None, form.working_height, height, width)
    size = WorkingSize.of(height, width, scale, form.size_multiple, margin_of(form.generator))
    luma = np.zeros((height, width), np.uint8)
    chroma = np.zeros((-(-height // 2), -(-width // 2)), np.uint8)
    frame = Frame(luma, chroma, chroma, 0, Fraction(1), color=color)
    task = frame_task(form, frame, size)
    batch = batch_size(task, throughput=not live)
    return EngineSpec(form, task, batch, precision, gpu, via, settings)


def batch_size(task: Task, throughput: bool) -> int:
    """Return the batch size: 1 without `throughput`, else up to `MAX_BATCH`, fewer for large frames."""
    if not throughput:
        return 1
    return max(1, min(MAX_BATCH, MAX_BATCH_PIXELS // (task.height * task.width)))


def spec_facts(spec: EngineSpec) -> Facts:
    """Return what an engine computes, to be stored in its sidecar and read by `spec_from_entry`."""
    return {
        "style": _network_name(spec.style),
        "folder": str(spec.style.network_folder.resolve()),
        "width": spec.task.width,
        "height": spec.task.height,
        "batch": spec.batch,
        "task": json.dumps(asdict(spec.task)),
    }


def _network_name(style: Style) -> str:
    """Return the name of the network: the shared one of a look, or the style's own."""
    return style.network or style.name


def spec_from_entry(entry: PlanEntry, gpu: int) -> EngineSpec:
    """Return the specification of a cached engine. Raises EngineError if it or its style is unreadable."""
    facts = entry.facts
    try:
        folder = Path(str(facts["folder"]))
        is_lite = folder.name == LITE and (folder.parent / CARD).is_file()
        style = load_style(folder.parent if is_lite else folder)
        task = _task(json.loads(str(facts["task"])))
        settings = BuilderSettings(int(facts["level"]), int(facts["workspace"]))
        precision = next(known for known in PRECISIONS if known == entry.key.precision)
        batch = int(facts["batch"])
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration, StyleError) as error:
        raise EngineError(
            f"the description of this engine is unreadable ({error}); it is not used"
        ) from error
    form = style.lite if is_lite else style
    if form is None:
        raise EngineError(f"style {style.name} no longer has a lite network; this engine is not used")
    return EngineSpec(form, task, batch, precision, gpu, entry.key.via, settings)


def _task(values: dict[str, Any]) -> Task:
    """Return the task described by `spec_facts`. Raises TypeError for anything else."""
    if "size" not in values:
        return FieldsTask(**values)
    return FrameTask(**{**values, "size": WorkingSize(**values["size"])})


def typed_graph(spec: EngineSpec) -> bytes:
    """Return the strongly typed ONNX graph of an engine. Needs no GPU."""
    task = spec.task
    graph = export_task(task_network(spec.style, task, half=spec.precision != "fp32"), spec.batch)
    if spec.precision not in ("int8", "fp8"):
        return graph
    # Every second photograph calibrates; the others validate the engine.
    shown = [to_samples(image, task) for image in calibration_images()[1::2]]
    numbers = {name: np.ones(1, np.float32) for name in task.numbers}
    feeds = [
        {name: np.stack([part] * spec.batch) for name, part in zip(task.takes, parts, strict=True)} | numbers
        for parts in shown
    ]
    return quantize(graph, spec.precision, measure_ranges(graph, feeds))
