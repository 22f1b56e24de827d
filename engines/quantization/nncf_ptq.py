"""Post-training quantization with NNCF: an int8 graph with QDQ nodes for OpenVINO and ONNX Runtime.

Channels are equalized (`engines.quantization.equalization`), and the generator is exported in the form that
is fastest in integers (`INTEGER_FORMS`). NNCF places symmetric quantizers: with AMX, OpenVINO has no integer
kernel for activations with a zero point. The ranges of activations are the largest values on photographs,
because a range that clips them would darken bright areas. In generators of fields, those of sums leave out a
few (`FIELDS_CLIPPED`). Weights are quantized per output channel and rounded so that their errors cancel
(`engines.quantization.weight_rounding`), which makes a bias correction unnecessary.

Needs the packages nncf, onnx, onnxruntime and torch.
"""

from __future__ import annotations

import io
import logging
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from engines.common.atomic_write import replace_file
from engines.common.telemetry import without_telemetry
from engines.errors import StyleError
from engines.export.onnx_graph import export_onnx, write_card
from engines.frame import ColorInfo
from engines.generators.unet import UNet
from engines.generators.unet_space_to_depth import SpaceToDepthUNet
from engines.imaging.color import rgb_to_yuv
from engines.imaging.field_blocks import BLOCK, pack
from engines.imaging.working_size import extend, fit
from engines.quantization.activation_ranges import narrow_ranges
from engines.quantization.equalization import equalized
from engines.quantization.weight_rounding import round_weights
from engines.quantization.wide_padding import pad_ahead
from engines.registry.network import load_network
from engines.registry.style import CARD, INT8_GRAPH, Style
from engines.untrusted.folder_validator import file_sha256

with without_telemetry():
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

FIELD_HEIGHT_PIXELS, FIELD_CROP_PIXELS = 720, (512, 768)
"""Short side that photographs are scaled to for fields, and the part that is used, pixels."""
CROP_PIXELS = 256
"""Side of the images that the ranges are measured on."""
MAX_PHOTOGRAPHS = 128
"""Most photographs that are used."""
FIELDS_CLIPPED = 2e-4
"""Share of a channel's values beyond its range, in sums of generators of fields. Looks turn fields into few
tones: an error of some codes in few pixels is not seen there, and an error of one code everywhere is.
"""
INTEGER_FORMS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {UNet: SpaceToDepthUNet}
"""Generators with another form of the same function, which is faster in integers."""


def quantize_style(style: Style, photographs: Iterable[NDArray[np.uint8]]) -> Style:
    """Write the style's int8 graph and add it to the card. Return the style as it is read now.

    `photographs` are H x W x 3 RGB of any size, preferably of many kinds; the centre of each is used. Raises
    StyleError if there are none, or if the style uses a shared network.
    """
    if style.network_folder != style.folder:
        raise StyleError(
            f"style {style.name} uses the shared network {style.network_folder}; quantize the network instead"
        )
    prepare = partial(_blocks, step=BLOCK * style.size_multiple) if style.gives_fields else _middle
    pictures = [prepare(photo) for photo, _ in zip(photographs, range(MAX_PHOTOGRAPHS), strict=False)]
    if not pictures:
        raise StyleError("quantization needs at least one photograph")
    nncf.set_log_level(logging.WARNING)
    clipped = FIELDS_CLIPPED if style.gives_fields else 0.0
    model = _graph(load_network(style), pictures, clipped)
    # NNCF prints progress bars to standard output, which belongs to the caller.
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
    if clipped:
        narrow_ranges(quantized, model, pictures, clipped)
    round_weights(quantized, model, pictures)
    pad_ahead(quantized)
    onnx.checker.check_model(quantized, full_check=True)
    data = quantized.SerializeToString()
    replace_file(style.folder / INT8_GRAPH, lambda part: part.write_bytes(data))
    return _enter(style)


def _graph(network: nn.Module, pictures: list[NDArray[np.float32]], clipped: float) -> onnx.ModelProto:
    """Return the graph to quantize: the equalized network in the form that is fastest in integers."""
    even = equalized(network, [torch.from_numpy(picture) for picture in pictures], clipped)
    with tempfile.TemporaryDirectory(prefix="streamtoon-") as folder:
        file = Path(folder) / "generator.onnx"
        form = INTEGER_FORMS.get(type(even))
        export_onnx(form(even) if form else even, file)
        return onnx.load(file)


def _middle(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the centre of a photograph as a generator's input, 1 x 3 x side x side in [-1, 1]."""
    height, width = photo.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = cv2.resize(
        photo[top : top + side, left : left + side], (CROP_PIXELS, CROP_PIXELS), interpolation=cv2.INTER_AREA
    )
    return (np.asarray(square, np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]


def _blocks(photo: NDArray[np.uint8], step: int) -> NDArray[np.float32]:
    """Return the centre of a photograph as blocks for a generator of fields, 1 x 24 x rows x columns.

    The values have limited range. The sides are extended to multiples of `step` pixels.

    Large photographs are scaled to the working height of styles, so that edges are as sharp as in video.
    """
    shrink = min(1.0, FIELD_HEIGHT_PIXELS / min(photo.shape[:2]))
    size = (max(1, round(photo.shape[1] * shrink)), max(1, round(photo.shape[0] * shrink)))
    small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA) if shrink < 1 else photo
    top, left = (max(0, (small.shape[at] - FIELD_CROP_PIXELS[at]) // 2) for at in (0, 1))
    part = np.asarray(small[top : top + FIELD_CROP_PIXELS[0], left : left + FIELD_CROP_PIXELS[1]], np.uint8)
    height, width = (-(-side // step) * step for side in part.shape[:2])
    y, u, v = rgb_to_yuv(extend(part, height, width), ColorInfo("bt709"))
    blocks = pack((y, fit(u, height // 2, width // 2), fit(v, height // 2, width // 2)))
    return (blocks.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)[None]


def _enter(style: Style) -> Style:
    """Add the int8 graph's checksum to the card."""
    facts: dict[str, Any] = tomllib.loads((style.folder / CARD).read_text(encoding="utf-8"))
    facts["sha256"][INT8_GRAPH] = file_sha256(style.folder / INT8_GRAPH)
    return write_card(style.folder, facts)
