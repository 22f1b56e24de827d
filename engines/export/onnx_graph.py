"""torch -> ONNX, checked against torch; and the folder of a finished style.

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
"""ONNX operator set: the lowest that torch's exporter writes without converting, so the most widely read."""
TOLERANCE = 1e-4
"""Largest allowed difference between graph and torch in fp32, for values in [-1, 1]."""


def export_onnx(generator: nn.Module, file: Path) -> None:
    """Writes the generator as an ONNX graph from `picture` to `cartoon`, 1 x channels x height x width each.

    Channels are those that the generator states in `channels`, (taken, given), and else three of RGB.

    Height and width are free (multiples of the generator's `size_multiple`); its last convolution is written
    in the faster form of `engines.generators.pixel_shuffle_head`. The graph is verified by ONNX's checker and
    by running it in ONNX Runtime beside torch at three sizes. Raises EngineError, and writes nothing, where
    the two differ by more than `TOLERANCE`. The generator is left as it was.
    """
    twin = copy.deepcopy(generator).cpu().float().eval()
    use_pixel_shuffle_head(twin)
    multiple = int(getattr(generator, "size_multiple", 1))
    example = torch.zeros(1, _taken(generator), 16 * multiple, 24 * multiple)
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
    """Within this block torch's exporter does not speak of its own affairs."""
    # It tells of operators that it knows and torchvision, which is not needed here, would bring.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # torch warns about its own internals here (FutureWarning, DeprecationWarning): nothing of ours.
        warnings.simplefilter("ignore")
        yield


def strip_metadata(model: onnx.ModelProto) -> None:
    """Takes the exporter's notes out: file names, stack traces of this machine."""
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
    dice = np.random.default_rng(0)
    for height, width in ((16, 24), (7, 5), (12, 33)):
        shape = (1, _taken(generator), height * multiple, width * multiple)
        picture = dice.uniform(-1, 1, shape).astype(np.float32)
        with torch.inference_mode():
            expected = generator(torch.from_numpy(picture)).numpy()
        (got,) = session.run(None, {"picture": picture})
        error = float(np.abs(got - expected).max())
        if not error <= TOLERANCE:
            raise EngineError(
                f"the exported graph differs from torch by {error:.2e} at {shape[3]}x{shape[2]}, "
                f"more than {TOLERANCE:g}"
            )


def _taken(generator: nn.Module) -> int:
    """Channels that the generator takes."""
    return int(getattr(generator, "channels", (3, 3))[0])


def save_style(folder: Path, generator: nn.Module, card: Mapping[str, object]) -> Style:
    """Writes weights, graph and card of a style and returns it as `load_style` reads it.

    `card` holds the keys of `engines.registry.card` except `format`, `parameters`, `size_multiple` and
    `sha256`, which are filled in here. Files are replaced one by one, each whole, the card last: a folder
    half written does not load. Any quantized graph of older weights is removed. Raises StyleError for a wrong
    card, EngineError where the graph does not match the generator.
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
    """Replaces the guided filter's numbers in the style's card and returns the style."""
    facts: dict[str, Any] = tomllib.loads((style.folder / CARD).read_text(encoding="utf-8"))
    return write_card(style.folder, facts | {"guided_filter": asdict(settings)})


def write_card(folder: Path, facts: Mapping[str, object]) -> Style:
    """Replaces the folder's card and returns the style. Raises StyleError for a wrong card."""
    replace_file(folder / CARD, lambda part: part.write_text(to_toml(facts), encoding="utf-8", newline="\n"))
    return load_style(folder)
