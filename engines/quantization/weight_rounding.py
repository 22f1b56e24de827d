"""Rounding weights to 8 bits so that their errors cancel.

If each of a convolution's weights is rounded to the nearest step, their errors add up where its inputs are
alike: a network that passes an image through some of its layers returns it several code values too bright or
too dark. Here, weights are rounded one after the other, and the error that one leaves in the output is taken
up by those that are still exact, as far as their inputs go with its own (Frantar et al., "GPTQ: Accurate
Post-Training Quantization for Generative Pre-trained Transformers", ICLR 2023, section 3, equations 2 and 3).
How inputs go together is measured on photographs.
"""

from __future__ import annotations

from collections.abc import Sequence

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
PLACES = 512
"""Places of each photograph at which a convolution's inputs are measured."""
DAMPING = 0.01
"""Share of the inputs' mean square that is added to each one's own, so that rare inputs decide little."""


def round_weights(quantized: onnx.ModelProto, model: onnx.ModelProto, pictures: Pictures) -> None:
    """Replace, in place, the int8 weights and scales of the convolutions of `quantized`.

    `model` is the original, with one input `picture`; its convolutions have the same names. `pictures` are 1
    x channels x H x W each.
    """
    exact = {value.name: value for value in model.graph.initializer}
    stored = {value.name: value for value in quantized.graph.initializer}
    maker = {name: node for node in quantized.graph.node for name in node.output}
    plain = {node.name: node for node in model.graph.node}
    products = _input_products(model, pictures)
    for node in quantized.graph.node:
        reader = maker.get(node.input[1]) if node.op_type == "Conv" else None
        if reader is None or reader.op_type != "DequantizeLinear":
            continue
        weight = numpy_helper.to_array(exact[plain[node.name].input[1]]).astype(np.float64)
        taken = plain[node.name].input[0]
        scale = _scales(weight, MAX_CODE_FIRST_LAYER if _is_picture(model, taken) else MAX_CODE)
        codes = rounded(weight, scale, products[node.name])
        stored[reader.input[0]].CopyFrom(numpy_helper.from_array(codes, reader.input[0]))
        stored[reader.input[1]].CopyFrom(numpy_helper.from_array(scale.astype(np.float32), reader.input[1]))


def rounded(weight: Doubles, scale: Doubles, products: Doubles) -> NDArray[np.int8]:
    """Return the codes of `weight`, out x in x h x w, in steps of `scale` (out).

    `products` are the means of products of every two inputs of a weight, (in h w) x (in h w). Strong inputs
    come first, while there are many weights to take up their errors.
    """
    exact = weight.reshape(len(weight), -1).copy()
    squares = np.diag(products)
    order = np.argsort(-squares)
    damped = products + DAMPING * squares.mean() * np.eye(len(squares))
    shares = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    codes = np.zeros(exact.shape, np.int8)
    for at, place in enumerate(order):
        code = np.clip(np.round(exact[:, place] / scale), -MAX_CODE, MAX_CODE)
        codes[:, place] = code
        error = (exact[:, place] - code * scale) / shares[at, at]
        exact[:, order[at + 1 :]] -= np.outer(error, shares[at, at + 1 :])
    return codes.reshape(weight.shape)


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


def _input_products(model: onnx.ModelProto, pictures: Pictures) -> dict[str, Doubles]:
    """Return, by convolution, the means of the products of every two of a weight's inputs."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    sides = {value.name: value.dims[2:] for value in model.graph.initializer}
    given = {value.name for value in model.graph.input}
    for name in dict.fromkeys(node.input[0] for node in convolutions):
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
    dice = np.random.default_rng(0)
    sums: dict[str, Doubles] = {}
    for picture in pictures:
        values = dict(zip(outputs, session.run(None, {"picture": picture}), strict=True)) | {
            "picture": picture
        }
        for node in convolutions:
            inputs = _inputs(node, values[node.input[0]][0], sides[node.input[1]], dice)
            sums[node.name] = sums.get(node.name, 0) + (inputs @ inputs.T).astype(np.float64)
    return {name: total / (PLACES * len(pictures)) for name, total in sums.items()}


def _inputs(
    node: onnx.NodeProto, image: NDArray[np.float32], sides: Sequence[int], dice: np.random.Generator
) -> NDArray[np.float32]:
    """Return what a convolution's weights read at random places, (in h w) x places."""
    settings = {each.name: list(each.ints) for each in node.attribute}
    top, left, bottom, right = settings.get("pads", [0] * 4)
    padded = np.pad(image, ((0, 0), (top, bottom), (left, right)))
    strides, dilations = (settings.get(key, [1, 1]) for key in ("strides", "dilations"))
    reads = []
    for length, side, stride, dilation in zip(padded.shape[1:], sides, strides, dilations, strict=True):
        first = dice.integers((length - dilation * (side - 1) - 1) // stride + 1, size=PLACES) * stride
        reads.append(first[None, :] + dilation * np.arange(side)[:, None])
    rows, columns = reads
    return padded[:, rows[:, None], columns[None, :]].reshape(-1, PLACES)
