"""Rounding weights to 8 bits so that their errors cancel.

If each of a convolution's weights is rounded to the nearest step, their errors add up where the input is
constant: a network that passes an image through some of its layers returns it several code values too bright
or too dark. Here, each weight's error is passed on to the next (error diffusion, as in Floyd and Steinberg's
dithering of 1976), weighted by the mean of the corresponding input, so that each sum is within half a step of
its exact value.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

Doubles = NDArray[np.float64]
Pictures = list[NDArray[np.float32]]

MAX_CODE = 127
MAX_CODE_FIRST_LAYER = 63
"""Number of steps up to a channel's largest weight. The first convolution has fewer: its input is an image,
where neighbours are alike and bright, and AVX2 adds pairs of products in 16 bits, which would overflow.
"""
MAX_STEP_REDUCTION = 15
"""The number of steps may be lower by this, if that fits the other weights better."""
MIN_ERROR_GAIN = 0.98
"""A lower number is used if it reduces the squared error below this share."""
SHUFFLES = ("Reshape", "Transpose", "SpaceToDepth")
"""Operators that only reorder pixels."""
MIN_MEAN = 1e-6
"""Channels with a smaller absolute mean receive no error."""


def round_weights(quantized: onnx.ModelProto, model: onnx.ModelProto, pictures: Pictures) -> None:
    """Replace, in place, the int8 weights and scales of the convolutions of `quantized`.

    `model` is the original, with one input `picture`; its convolutions have the same names. `pictures` are 1
    x channels x H x W each.
    """
    exact = {value.name: value for value in model.graph.initializer}
    stored = {value.name: value for value in quantized.graph.initializer}
    maker = {name: node for node in quantized.graph.node for name in node.output}
    plain = {node.name: node for node in model.graph.node}
    means = _input_means(model, pictures)
    for node in quantized.graph.node:
        reader = maker.get(node.input[1]) if node.op_type == "Conv" else None
        if reader is None or reader.op_type != "DequantizeLinear":
            continue
        weight = numpy_helper.to_array(exact[plain[node.name].input[1]]).astype(np.float64)
        taken = plain[node.name].input[0]
        scale = _scales(weight, MAX_CODE_FIRST_LAYER if _is_picture(model, taken) else MAX_CODE)
        codes = diffused(weight, scale, means[taken])
        stored[reader.input[0]].CopyFrom(numpy_helper.from_array(codes, reader.input[0]))
        stored[reader.input[1]].CopyFrom(numpy_helper.from_array(scale.astype(np.float32), reader.input[1]))


def diffused(weight: Doubles, scale: Doubles, means: Doubles) -> NDArray[np.int8]:
    """Return the codes of `weight`, out x in x h x w, in steps of `scale` (out), each rounded up or down.

    `means` are the means of the input's channels (in). Channels with a large mean come last and settle the
    sum. Weights of 0 stay 0.
    """
    codes = np.zeros(weight.shape, np.int8)
    owed = np.zeros(len(weight))
    for channel in np.argsort(np.abs(means)):
        mean = means[channel]
        for at in np.ndindex(weight.shape[2:]):
            place = (slice(None), channel, *at)
            steps = weight[place] / scale
            handed = owed / (mean * scale) if abs(mean) > MIN_MEAN else 0.0
            code = np.clip(np.round(steps + handed), np.floor(steps), np.ceil(steps))
            code = np.clip(code, -MAX_CODE, MAX_CODE)
            codes[place] = code
            owed += (weight[place] - code * scale) * mean
    return codes


def _is_picture(model: onnx.ModelProto, value: str) -> bool:
    """Return whether a value is the graph's input, apart from the order of its pixels."""
    maker = {name: node for node in model.graph.node for name in node.output}
    while value in maker and maker[value].op_type in SHUFFLES:
        value = maker[value].input[0]
    return bool(value == model.graph.input[0].name)


def _scales(weight: Doubles, most: int) -> Doubles:
    """Return the step of each output channel, with at most `most` steps up to its largest weight."""
    largest = np.abs(weight).reshape(len(weight), -1).max(1)
    largest[largest == 0] = 1
    best = least = np.zeros(0)
    for steps in range(most, most - MAX_STEP_REDUCTION - 1, -1):
        scale = largest / steps
        grid = scale[:, None, None, None]
        error = ((weight - np.round(weight / grid) * grid) ** 2).sum(axis=(1, 2, 3))
        if steps == most:
            best, least = scale, error
        better = error < MIN_ERROR_GAIN * least
        best, least = np.where(better, scale, best), np.where(better, error, least)
    return best


def _input_means(model: onnx.ModelProto, pictures: Pictures) -> dict[str, Doubles]:
    """Return the mean of each channel of the convolutions' inputs, by the name of the input."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = dict.fromkeys(node.input[0] for node in model.graph.node if node.op_type == "Conv")
    given = {value.name for value in model.graph.input}
    for name in names:
        if name not in given:
            watched.graph.output.append(
                onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            )
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    outputs = [value.name for value in session.get_outputs()]
    sums: dict[str, Doubles] = {}
    for picture in pictures:
        values = dict(zip(outputs, session.run(None, {"picture": picture}), strict=True)) | {
            "picture": picture
        }
        for name in names:
            sums[name] = sums.get(name, 0) + values[name].mean(axis=(0, 2, 3), dtype=np.float64)
    return {name: total / len(pictures) for name, total in sums.items()}
