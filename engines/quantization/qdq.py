"""Quantizing the convolutions of a typed graph to int8 or fp8 with quantize/dequantize pairs.

Since 10.12, TensorRT does no calibration: the graph says what is quantized, and with which scale. The input
of every convolution except the last, and in fp8 the first, is rounded to 8 bits with one scale per tensor.
The weights are stored in 8 bits, in int8 with one scale per output channel, in fp8 with one scale. Scales are
symmetric, because TensorRT supports no others.

Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference", arXiv 1806.08342, sections
2.1 and 3; Micikevicius et al., "FP8 formats for deep learning", arXiv 2209.05433 (E4M3).

Needs the packages onnx and onnxruntime.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.errors import EngineError

Kind = Literal["int8", "fp8"]
MAX_CODE: dict[Kind, float] = {"int8": 127.0, "fp8": 448.0}
"""Largest value that 8 bits represent."""
OPSET = 19
"""First operator set in which the pairs support half precision and fp8."""
FP8_CHANNELS, FP8_WINDOW = 16, 32
"""Least number of input channels, and largest kernel area, for which TensorRT has fp8 kernels."""
CLIPPED_SHARE = 1e-5
"""Share of a tensor's values that may exceed its range, so that a few outliers do not coarsen all others."""


def measure_ranges(graph: bytes, inputs: Iterable[Mapping[str, NDArray[np.generic]]]) -> dict[str, float]:
    """Run `graph` on all `inputs`. Return the range of every convolution's input by the name of its weights.

    Raises EngineError if there is no convolution or no input.
    """
    model = onnx.load_from_string(graph)
    convolutions = [model.graph.node[at] for at in _convolutions(model)]
    places = {node.input[1]: node.input[0] for node in convolutions}
    known = {value.name for value in model.graph.output}
    for name in dict.fromkeys(places.values()):
        if name not in known:
            model.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    ranges: dict[str, float] = {}
    for feed in inputs:
        drawn = dict(zip(places, session.run([*places.values()], dict(feed)), strict=True))
        for weights, values in drawn.items():
            sizes = np.abs(np.asarray(values, np.float32)).ravel()
            at = max(0, sizes.size - 1 - int(CLIPPED_SHARE * sizes.size))
            ranges[weights] = max(ranges.get(weights, 0.0), float(np.partition(sizes, at)[at]))
    if not ranges:
        raise EngineError(
            "nothing to quantize: the graph has no convolutions, or there are no calibration images"
        )
    return ranges


def quantize(graph: bytes, kind: Kind, ranges: Mapping[str, float]) -> bytes:
    """Return the graph with its convolutions in 8 bits; `ranges` is the result of `measure_ranges`.

    The ranges may be from the same network at another size. Raises EngineError if one is missing.
    """
    model = onnx.load_from_string(graph)
    kept = {each.name: each for each in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    quantized: dict[str, str] = {}
    # Input images have more levels than fp8 can represent with its 3 bits of mantissa.
    chosen = set(_convolutions(model)[kind == "fp8" : -1])
    for at, node in enumerate(list(model.graph.node)):
        if at in chosen:
            source, weights = node.input[0], node.input[1]
            if weights not in ranges:
                raise EngineError(f"the ranges belong to another network: {weights} was not measured")
            values = numpy_helper.to_array(kept[weights])
            if kind == "fp8" and (values.shape[1] < FP8_CHANNELS or values[0, 0].size > FP8_WINDOW):
                nodes.append(node)
                continue
            if source not in quantized:
                quantized[source] = _pair(model, nodes, source, ranges[weights], kind, values.dtype)
            node.input[0] = quantized[source]
            node.input[1] = _weights(model, nodes, weights, values, kind)
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    for each in [each for each in model.graph.initializer if each.name not in used]:
        model.graph.initializer.remove(each)
    for domain in model.opset_import:
        if domain.domain in ("", "ai.onnx"):
            domain.version = max(OPSET, domain.version)
    model.ir_version = max(model.ir_version, 9)  # the first version with fp8
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def _convolutions(model: onnx.ModelProto) -> list[int]:
    """Return the indices of the convolutions whose weights are part of the graph, in order."""
    own = {each.name for each in model.graph.initializer}
    nodes = enumerate(model.graph.node)
    return [at for at, node in nodes if node.op_type == "Conv" and node.input[1] in own]


def _pair(
    model: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    source: str,
    largest: float,
    kind: Kind,
    dtype: np.dtype[np.generic],
) -> str:
    """Add nodes that round a tensor to 8 bits and back. Return the name of the result.

    Args:
        model: Receives the constants.
        nodes: Receives the nodes.
        source: Name of the tensor.
        largest: Its range.
        kind: int8 or fp8.
        dtype: Float type of the graph.
    """
    scale, zero, narrow, out = (f"{source}_{part}" for part in ("scale", "zero", kind, "rounded"))
    step = max(largest, 1e-4) / MAX_CODE[kind]
    _keep(model, scale, np.array(step, dtype))
    _keep(model, zero, _narrow(np.zeros(()), kind))
    nodes.append(helper.make_node("QuantizeLinear", [source, scale, zero], [narrow]))
    nodes.append(helper.make_node("DequantizeLinear", [narrow, scale, zero], [out]))
    return out


def _weights(
    model: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    name: str,
    values: NDArray[np.generic],
    kind: Kind,
) -> str:
    """Store weights, out x in x height x width, in 8 bits. Return the name of the convolution's input."""
    scale, zero, narrow, out = (f"{name}_{part}" for part in ("scale", "zero", kind, "rounded"))
    wide = np.asarray(values, np.float64)
    each = np.abs(wide).max(axis=(1, 2, 3)) if kind == "int8" else np.abs(wide).max()
    # At least the smallest normal number of half precision, so that a channel of zeros has a valid scale.
    steps = np.maximum(each / MAX_CODE[kind], 6.2e-5).astype(values.dtype)
    divided = wide / np.asarray(steps, np.float64).reshape(-1, 1, 1, 1)
    _keep(model, scale, steps)
    _keep(model, zero, _narrow(np.zeros(steps.shape), kind))
    _keep(model, narrow, _narrow(divided, kind))
    pair = helper.make_node("DequantizeLinear", [narrow, scale, zero], [out])
    if kind == "int8":
        pair.attribute.append(helper.make_attribute("axis", 0))
    nodes.append(pair)
    return out


def _narrow(values: NDArray[np.float64], kind: Kind) -> NDArray[np.generic]:
    """Round to the nearest representable value, halves to even."""
    clipped = np.clip(values, -MAX_CODE[kind], MAX_CODE[kind])
    if kind == "int8":
        return np.rint(clipped).astype(np.int8)
    return clipped.astype(np.float32).astype(ml_dtypes.float8_e4m3fn)


def _keep(model: onnx.ModelProto, name: str, values: NDArray[np.generic]) -> None:
    if values.dtype == ml_dtypes.float8_e4m3fn:
        data = values.view(np.uint8).tobytes()
        tensor = helper.make_tensor(name, TensorProto.FLOAT8E4M3FN, values.shape, data, raw=True)
    else:
        tensor = numpy_helper.from_array(np.asarray(values, order="C"), name)
    model.graph.initializer.append(tensor)
