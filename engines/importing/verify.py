"""Converting an untrusted graph to a style's graph, and verifying that it is still the same network.

Needs the packages onnx and onnxruntime.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from engines.common.telemetry import without_telemetry
from engines.errors import StyleError
from engines.importing import onnx_model
from engines.importing.io_convention import RANGES, Array, IoConvention, Network, detect
from engines.importing.probe_image import draw
from engines.importing.size_probe import draw_at, size_multiple
from engines.importing.wrap import wrap
from engines.untrusted.onnx_validator import check_graph, read_graph

SIZE = (192, 256)
"""Height and width of the image on which a graph of variable size is tried first."""
MAX_DIFFERENCE = 2e-3
"""Largest difference between the original and the converted graph in ONNX Runtime, for values in [-1, 1]."""
MAX_MEAN_DIFFERENCE = 0.02
"""Mean difference between ONNX Runtime and OpenVINO, for values in [-1, 1]."""


@dataclass(frozen=True, slots=True)
class VerifiedModel:
    """What was detected about a graph."""

    size_multiple: int
    parameters: int
    fixed: tuple[int, int] | None
    """Height and width that were fixed in the original graph; None if they were variable."""
    form: str
    """Layout, channels and values, as text."""
    also: tuple[str, ...]
    """Other values of black and white that fit nearly as well, as for networks that change little."""


def convert_graph(file: Path, target: Path, *, bgr: bool, values: str = "") -> VerifiedModel:
    """Convert a graph to a style's graph in `target`; for `bgr` and `values` see `io_convention.detect`.

    Raises StyleError, one sentence that names the file, if `engines.untrusted.onnx_validator` rejects the
    graph, if its output does not resemble the test image, if its size is fixed, or if two runtimes compute
    different results.
    """
    facts = read_graph(file)
    try:
        model = onnx_model.load(file, facts)
        _keep_one_picture(model)
        kind, layouts, fixed = _declared(model)
        as_it_came = onnx_model.make_runner(model)
        picture = draw(*(fixed or SIZE))
        form, also = detect(as_it_came, picture, kind, layouts, bgr=bgr, values=values)
        free = copy.deepcopy(model)
        onnx_model.free_size(free)
        network, multiple = _free_size(free, form, fixed)
        target.write_bytes(wrap(free, form))
        _check_same(target, as_it_came if fixed else network, form, fixed, multiple)
    except StyleError as error:
        raise StyleError(f"{file} {error}") from error
    check_graph(target)
    return VerifiedModel(multiple, max(1, facts.parameters), fixed, str(form), also)


def _keep_one_picture(model: onnx.ModelProto) -> None:
    """Remove all outputs but the one that is an image. Raises StyleError without one input and one image."""
    ends = model.graph
    weights = {tensor.name for tensor in ends.initializer}
    inputs = [value for value in ends.input if value.name not in weights]
    pictures = [value for value in ends.output if 3 in _shape(value)] or list(ends.output)
    if len(inputs) != 1 or len(pictures) != 1:
        raise StyleError(
            f"has {len(inputs)} inputs and {len(pictures)} outputs; "
            "a style has one input image and one output image"
        )
    kept = copy.deepcopy(pictures[0])
    del ends.output[:]
    ends.output.append(kept)


def _shape(value: Any) -> list[int]:
    """Return the declared sizes, 0 for variable ones; empty if nothing is declared."""
    return [max(0, dim.dim_value) for dim in value.type.tensor_type.shape.dim]


def _declared(model: onnx.ModelProto) -> tuple[str, tuple[bool, ...], tuple[int, int] | None]:
    """Return the input's type, the possible layouts, and the size if it is fixed."""
    weights = {tensor.name for tensor in model.graph.initializer}
    (value,) = (value for value in model.graph.input if value.name not in weights)
    kind, shape = value.type.tensor_type.elem_type, _shape(value)
    if kind not in onnx_model.KINDS:
        raise StyleError(
            f"has an input of ONNX type {kind}; images must be {', '.join(onnx_model.KINDS.values())}"
        )
    if shape and (len(shape) != 4 or shape[0] > 1 or (shape[1] not in (0, 3) and shape[3] not in (0, 3))):
        raise StyleError(f"has an input of shape {shape}; a style's is 1 x 3 x H x W or 1 x H x W x 3")
    layouts: tuple[bool, ...] = (False, True)
    if shape and 3 in (shape[1], shape[3]) and shape[1] != shape[3]:
        layouts = (shape[3] == 3,)
    sides = (shape[1:3] if layouts == (True,) else shape[2:4]) if shape else [0, 0]
    if any(side > 4096 for side in sides):
        raise StyleError(f"is made for images of {sides[1]}x{sides[0]}; the limit is 4096 on each side")
    fixed = (sides[0] or SIZE[0], sides[1] or SIZE[1]) if any(sides) else None
    return onnx_model.KINDS[kind], layouts, fixed


def _free_size(
    free: onnx.ModelProto, form: IoConvention, fixed: tuple[int, int] | None
) -> tuple[Network, int]:
    """Return the network of variable size, and the multiple that its sizes must have."""
    try:
        network = onnx_model.make_runner(free)
        return network, size_multiple(network, form)
    except StyleError as error:
        if fixed is None:
            raise
        raise StyleError(
            f"only works at {fixed[1]}x{fixed[0]} and its size cannot be made variable; "
            f"export it again with dynamic height and width ({error})"
        ) from error


def _check_same(
    kept: Path, network: Network, form: IoConvention, fixed: tuple[int, int] | None, multiple: int
) -> None:
    """Compare the converted graph with the original in ONNX Runtime, and OpenVINO with both.

    Raises StyleError if they differ.
    """
    wrapped = onnx_model.make_runner(onnx.load(kept))
    with without_telemetry():
        import openvino as ov
    core = ov.Core()
    sizes = [fixed] if fixed else [(multiple * (96 // multiple + 1), multiple * (128 // multiple + 3)), SIZE]
    for height, width in sizes:
        picture = draw(height, width)
        expected = np.clip(form.decode(network(form.encode(picture))) * 2 - 1, -1, 1)
        batch = (picture * 2 - 1).transpose(2, 0, 1)[None]
        got = np.asarray(wrapped(batch), np.float32)[0].transpose(1, 2, 0)
        loose = MAX_DIFFERENCE * (10 if form.kind_in == "float16" else 1)
        if not float(np.abs(got - expected).max()) <= loose:
            raise StyleError("cannot be used: it draws a different image after its conversion to a style")
        try:
            model = core.read_model(str(kept))
            model.reshape([1, 3, height, width])
            compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            other: Array = compiled([batch])[0]
        except Exception as error:  # RuntimeError, or a message that cannot be decoded
            last = " ".join(str(error).split())[-160:]
            raise StyleError(f"cannot be used: OpenVINO rejects it (...{last})") from error
        if not float(np.abs(other[0].transpose(1, 2, 0) - expected).mean()) <= MAX_MEAN_DIFFERENCE:
            raise StyleError("cannot be used: OpenVINO and ONNX Runtime compute different images with it")


def check_generator_graph(file: Path, multiple: int) -> None:
    """Raise StyleError if the graph of a known generator does not draw the test image."""
    form = IoConvention("float32", False, False, RANGES[0], RANGES[0], bgr_in=False, bgr_out=False)
    side = -(-SIZE[0] // multiple) * multiple
    try:
        draw_at(onnx_model.make_runner(onnx.load(file)), form, side, side)
    except StyleError as error:
        raise StyleError(f"{file.name} {error}") from error
