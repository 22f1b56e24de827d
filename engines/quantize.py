"""The int8 form of a style's graph: QDQ nodes that OpenVINO and ONNX Runtime both compute in integers.

The generator's channels are brought to like ranges (`engines.equalize`) and it is written in the form that
suits integers (`for_integers`, where it has one). NNCF places the quantizers, symmetric: with AMX, OpenVINO
has no integer kernel for activations with a zero point, and then computes in float or not at all.
Activations' ranges are the largest values on photographs, for a range that cuts some off darkens what is
bright. Weights are quantized for every output channel by itself and rounded so that their errors cancel
(`engines.rounding`), which also does what a correction of biases is for.

Needs the packages nncf, onnx, onnxruntime and torch.
"""

from __future__ import annotations

import io
import logging
import tempfile
import tomllib
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from engines.backends.torch import load_network
from engines.equalize import equalized
from engines.errors import StyleError
from engines.export import export_onnx, write_card
from engines.files import replace_file
from engines.rounding import round_weights
from engines.style import CARD, INT8_GRAPH, Style, file_sha256
from engines.telemetry import without_telemetry

with without_telemetry():
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

SIZE = 256
"""Pixels a side of the pictures that the ranges are taken from."""
ENOUGH = 128
"""Photographs that are looked at, at most."""


def quantize_style(style: Style, photographs: Iterable[NDArray[np.uint8]]) -> Style:
    """Writes the style's int8 graph, enters it in the card and returns the style as it now is.

    `photographs` are H x W x 3 RGB of any size, best of many kinds; the middle of each is used. Raises
    StyleError where there is none.
    """
    pictures = [_middle(photo) for photo, _ in zip(photographs, range(ENOUGH), strict=False)]
    if not pictures:
        raise StyleError("quantization needs photographs to take the ranges from: none was given")
    nncf.set_log_level(logging.WARNING)
    model = _graph(load_network(style), pictures)
    # It draws progress bars on standard output, which is the caller's.
    with redirect_stdout(io.StringIO()):
        quantized = nncf.quantize(
            model,
            nncf.Dataset(pictures, lambda picture: {"picture": picture}),
            subset_size=len(pictures),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            advanced_parameters=AdvancedQuantizationParameters(
                activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
                overflow_fix=nncf.OverflowFix.DISABLE,
                disable_bias_correction=True,
            ),
        )
    round_weights(quantized, model, pictures)
    onnx.checker.check_model(quantized, full_check=True)
    data = quantized.SerializeToString()
    replace_file(style.folder / INT8_GRAPH, lambda part: part.write_bytes(data))
    return _enter(style)


def _graph(network: nn.Module, pictures: list[NDArray[np.float32]]) -> onnx.ModelProto:
    """What is quantized: the network's function in the form that suits integers."""
    even = equalized(network, map(torch.from_numpy, pictures))
    with tempfile.TemporaryDirectory(prefix="streamtoon-") as folder:
        file = Path(folder) / "generator.onnx"
        has_form = hasattr(even, "for_integers")
        export_onnx(even.for_integers() if has_form else even, file)  # type: ignore[operator]
        return onnx.load(file)


def _middle(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The middle of a photograph as the generator takes it, 1 x 3 x SIZE x SIZE in [-1, 1]."""
    height, width = photo.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = cv2.resize(
        photo[top : top + side, left : left + side], (SIZE, SIZE), interpolation=cv2.INTER_AREA
    )
    return (np.asarray(square, np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]


def _enter(style: Style) -> Style:
    """Adds the int8 graph's checksum to the card."""
    facts: dict[str, Any] = tomllib.loads((style.folder / CARD).read_text(encoding="utf-8"))
    facts["sha256"][INT8_GRAPH] = file_sha256(style.folder / INT8_GRAPH)
    return write_card(style.folder, facts)
