"""Narrower ranges for the sums of a quantized graph.

A range that holds every value of a hundred photographs is set by a handful of pixels, and makes the steps of
8 bits coarse everywhere. The sum that residual blocks add to is rounded after each of them, so the errors add
up: in generators of fields, they are most of what int8 loses. Here, the range of a sum holds all but a small
share of each channel's values, and what lies beyond becomes the range's end. What is inside a block keeps its
range: its steps are fine enough, and strong lines are the few large values there.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from engines.quantization.peaks import ChannelPeaks


def narrow_ranges(
    quantized: onnx.ModelProto, model: onnx.ModelProto, pictures: list[NDArray[np.float32]], clipped: float
) -> None:
    """Lower, in place, the scales of the sums that `quantized` rounds.

    `model` is the original, with one input `picture`; its tensors have the same names. `pictures` are 1 x
    channels x H x W each. `clipped` is the largest share of any channel's values beyond its range.
    """
    stored = {value.name: value for value in quantized.graph.initializer}
    sums = _sums(model)
    rounded = [
        node for node in quantized.graph.node if node.op_type == "QuantizeLinear" and node.input[0] in sums
    ]
    ranges = _ranges(model, sorted({node.input[0] for node in rounded}), pictures, clipped)
    for node in rounded:
        codes = np.iinfo(numpy_helper.to_array(stored[node.input[2]]).dtype).max
        scale = numpy_helper.to_array(stored[node.input[1]])
        narrow = np.minimum(scale, np.asarray(ranges[node.input[0]] / codes, scale.dtype))
        stored[node.input[1]].CopyFrom(numpy_helper.from_array(narrow, node.input[1]))


def _sums(model: onnx.ModelProto) -> set[str]:
    """Return the names of sums, and of what ReLU leaves of them."""
    made = {node.output[0] for node in model.graph.node if node.op_type == "Add"}
    return made | {n.output[0] for n in model.graph.node if n.op_type == "Relu" and n.input[0] in made}


def _ranges(
    model: onnx.ModelProto, names: list[str], pictures: list[NDArray[np.float32]], clipped: float
) -> dict[str, float]:
    """Return the widest range of a channel of each tensor."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    for name in names:
        watched.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    positions = sum(picture.shape[2] * picture.shape[3] for picture in pictures)
    peaks = {name: ChannelPeaks(clipped, positions) for name in names}
    for picture in pictures:
        for name, values in zip(names, session.run(names, {"picture": picture}), strict=True):
            peaks[name].add(values)
    return {name: float(each.peaks().max()) for name, each in peaks.items()}
