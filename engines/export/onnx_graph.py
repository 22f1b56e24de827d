"""Exporting torch modules to ONNX, checked against torch, and writing the folder of a style.

Needs the packages torch, onnx, onnxscript, onnxruntime and safetensors.
"""

from __future__ import annotations

import copy
import logging
import tomllib
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import safetensors.torch
import torch
from torch import nn

from engines.common.atomic_write import replace_file
from engines.errors import EngineError
from engines.generators.pixel_shuffle_head import use_pixel_shuffle_head
from engines.imaging.guided_filter import FilterSettings
from engines.registry.card import FORMAT, to_toml
from engines.registry.style import CARD, GRAPH, INT8_GRAPH, WEIGHTS, Style, load_style
from engines.untrusted.folder_validator import file_sha256

OPSET = 18
"""ONNX operator set: the lowest that torch's exporter writes without conversion, so the most compatible."""
SIZES = ((16, 24), (7, 5), (12, 33))
"""Height and width of the images by which a graph is written (the first) and compared with torch, in units
of up to 4 pixels.
"""
TOLERANCE = 1e-4
"""Largest allowed difference between the graph and torch in fp32, for values in [-1, 1]."""


def export_onnx(generator: nn.Module, file: Path) -> None:
    """Write a generator as an ONNX graph from `picture` to `cartoon`, 1 x channels x height x width each.

    The number of channels is the generator's attribute `channels` (input, output), by default three for RGB.

    Height and width are variable (multiples of the generator's `size_multiple`). Its last convolution is
    written in the faster form of `engines.generators.pixel_shuffle_head`. ONNX's checker verifies the graph,
    and its results in ONNX Runtime are compared with torch at three sizes. If they differ by more than
    `TOLERANCE`, EngineError is raised and nothing is written. The generator is not changed.
    """
    twin = copy.deepcopy(generator).cpu().float().eval()
    use_pixel_shuffle_head(twin)
    multiple = int(getattr(generator, "size_multiple", 1))
    example = torch.zeros(1, _taken(generator), *_sides(*SIZES[0], multiple))
    free = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    with quiet_exporter():
        program = torch.onnx.export(
            twin,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["picture"],
            output_names=["cartoon"],
            dynamic_shapes=(free,),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    strip_metadata(model)
    _name_sizes(model)
    onnx.checker.check_model(model, full_check=True)
    data = model.SerializeToString()
    _check_against_torch(copy.deepcopy(generator).cpu().float().eval(), data, multiple)
    replace_file(file, lambda part: part.write_bytes(data))


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Silence the messages of torch's exporter in this block."""
    # It logs that operators of torchvision, which is not needed here, are missing.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # torch warns about its own internals here (FutureWarning, DeprecationWarning).
        warnings.simplefilter("ignore")
        yield


def strip_metadata(model: onnx.ModelProto) -> None:
    """Remove the exporter's metadata: file names and stack traces of this machine."""
    graph = model.graph
    for holder in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del holder.metadata_props[:]
        holder.doc_string = ""
    del graph.value_info[:]


def _name_sizes(model: onnx.ModelProto) -> None:
    graph = model.graph
    for value in (graph.input[0], graph.output[0]):
        for at, name in ((2, "height"), (3, "width")):
            value.type.tensor_type.shape.dim[at].dim_param = name


def _check_against_torch(generator: nn.Module, data: bytes, multiple: int) -> None:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    for size in SIZES:
        shape = (1, _taken(generator), *_sides(*size, multiple))
        picture = rng.uniform(-1, 1, shape).astype(np.float32)
        with torch.inference_mode():
            expected = generator(torch.from_numpy(picture)).numpy()
        (got,) = session.run(None, {"picture": picture})
        error = float(np.abs(got - expected).max())
        if not error <= TOLERANCE:
            raise EngineError(
                f"the exported graph differs from torch by {error:.2e} at {shape[3]}x{shape[2]}, "
                f"more than {TOLERANCE:g}"
            )


def _sides(height: int, width: int, multiple: int) -> tuple[int, int]:
    """Return sides of that many units of up to 4 pixels, rounded up to the multiple."""
    unit = min(multiple, 4)
    return -(-height * unit // multiple) * multiple, -(-width * unit // multiple) * multiple


def _taken(generator: nn.Module) -> int:
    """Return the generator's number of input channels."""
    return int(getattr(generator, "channels", (3, 3))[0])


def save_style(folder: Path, generator: nn.Module, card: Mapping[str, object]) -> Style:
    """Write the weights, graph and card of a style. Return the style as `load_style` reads it.

    `card` has the keys of `engines.registry.card` except `format`, `parameters`, `size_multiple` and
    `sha256`, which are added here. Each file is replaced atomically and the card last, so a partly written
    folder does not load. A quantized graph of older weights is removed. Raises StyleError for a wrong card,
    and EngineError if the graph does not match the generator.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        key: (value.float() if value.is_floating_point() else value).detach().cpu().contiguous()
        for key, value in generator.state_dict().items()
    }
    replace_file(folder / WEIGHTS, lambda part: safetensors.torch.save_file(weights, part))
    export_onnx(generator, folder / GRAPH)
    (folder / INT8_GRAPH).unlink(missing_ok=True)
    facts = {
        "format": FORMAT,
        **card,
        "size_multiple": int(getattr(generator, "size_multiple", 1)),
        "parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "sha256": {name: file_sha256(folder / name) for name in (WEIGHTS, GRAPH)},
    }
    return write_card(folder, facts)


def write_filter(style: Style, settings: FilterSettings) -> Style:
    """Replace the guided filter's settings in the style's card. Return the style."""
    facts: dict[str, Any] = tomllib.loads((style.folder / CARD).read_text(encoding="utf-8"))
    return write_card(style.folder, facts | {"guided_filter": asdict(settings)})


def write_card(folder: Path, facts: Mapping[str, object]) -> Style:
    """Replace the folder's card. Return the style. Raises StyleError for a wrong card."""
    replace_file(folder / CARD, lambda part: part.write_text(to_toml(facts), encoding="utf-8", newline="\n"))
    return load_style(folder)
