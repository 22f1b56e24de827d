"""An untrusted graph: loading it completely, running it in ONNX Runtime, and making its size variable.

Needs the packages onnx and onnxruntime.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, numpy_helper

from engines.errors import StyleError
from engines.importing.io_convention import Array
from engines.untrusted.onnx_validator import MAX_BYTES, GraphFacts

KINDS = {1: "float32", 2: "uint8", 10: "float16", 11: "float64"}
"""TensorProto.DataType -> NumPy's name, for the types that images may have."""
_OUT_OF_MEMORY = re.compile(
    r"allocate memory|bad.alloc|out of memory|require more than \d+ bytes", re.IGNORECASE
)
"""Matches ONNX Runtime's messages, which are the only sign of a lack of memory."""


def load(file: Path, facts: GraphFacts) -> onnx.ModelProto:
    """Load a model with all its weights. Weights in other files are read from the model's own folder.

    Raises StyleError for a path outside that folder, a link, or a file that is too short or too large.
    """
    model = onnx.load(file, load_external_data=False)
    if facts.external:
        total = sum(place.length for place in facts.external)
        if total > MAX_BYTES:
            raise StyleError(f"has {total:,} bytes of weights in other files; the limit is {MAX_BYTES:,}")
        tensors = [tensor for tensor in _tensors(model) if tensor.data_location == TensorProto.EXTERNAL]
        for tensor, place in zip(tensors, facts.external, strict=True):
            tensor.raw_data = _read(file.parent, place.location, place.offset, place.length)
            tensor.data_location = TensorProto.DEFAULT
            del tensor.external_data[:]
    _close_clips(model.graph)
    for holder in (model, model.graph, *model.graph.node):
        holder.doc_string = ""
        del holder.metadata_props[:]
    return model


def _close_clips(graph: onnx.GraphProto) -> None:
    """Give every Clip with only one bound the other: the largest or the smallest number of its type."""
    kinds = {tensor.data_type for tensor in graph.initializer}
    half = TensorProto.FLOAT16 in kinds and TensorProto.FLOAT not in kinds
    most = np.finfo(np.float16 if half else np.float32).max
    for at, value in enumerate((-most, most), 1):
        name = f"clip/{'to' if value > 0 else 'from'}"
        for node in graph.node:
            inputs = [*node.input, "", ""][:3]
            if node.op_type == "Clip" and len(node.input) > 1 and not inputs[at]:
                inputs[at] = name
                node.input[:] = inputs
        graph.initializer.append(numpy_helper.from_array(np.array(value), name))


def _tensors(model: onnx.ModelProto) -> list[TensorProto]:
    """Return all tensors in the order of `read_graph`."""
    inner = [
        attribute.t for node in model.graph.node for attribute in node.attribute if attribute.HasField("t")
    ]
    return [*model.graph.initializer, *inner]


def _read(folder: Path, location: str, offset: int, length: int) -> bytes:
    parts = re.split(r"[/\\]", location)
    if not location or "\0" in location or Path(location).is_absolute() or ":" in location:
        raise StyleError(f"keeps weights at {location[:200]!r}, which is not a file in its folder")
    if any(part in ("", ".", "..") for part in parts):
        raise StyleError(f"keeps weights at {location[:200]!r}, outside its own folder")
    place = folder
    for part in parts:
        place = place / part
        if place.is_symlink():
            raise StyleError(f"keeps weights behind the link {place}; replace the link by the file")
    try:
        if not stat.S_ISREG(place.lstat().st_mode):
            raise StyleError(f"keeps weights in {place}, which is not a file")
        with place.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(length)
    except OSError as error:
        raise StyleError(f"keeps weights in {place}, which cannot be read: {error.strerror}") from error
    if len(data) != length:
        raise StyleError(f"keeps weights in {place}, which is too short; download both files again")
    return data


def make_runner(model: onnx.ModelProto) -> Callable[[Array], Array]:
    """Return a function that runs the model on one image.

    Raises StyleError now or when called, with half a sentence, and MemoryError when called.
    """
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.intra_op_num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's exceptions have no common base class
        raise StyleError(f"cannot be used: ONNX Runtime rejects it ({_short(error)})") from error
    name, output = session.get_inputs()[0].name, model.graph.output[0].name

    def run(batch: Array) -> Array:
        try:
            (answer,) = session.run([output], {name: batch})
        except Exception as error:
            if _OUT_OF_MEMORY.search(str(error)):
                raise MemoryError from error
            raise StyleError(
                f"cannot be used: it fails on an input of shape {list(batch.shape)} ({_short(error)})"
            ) from error
        return np.asarray(answer)

    return run


def _short(error: Exception) -> str:
    """Return the last 160 characters of a runtime's message, on one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else f"...{text[-160:]}"


def free_size(model: onnx.ModelProto) -> None:
    """Remove the fixed size of a graph, in place: from inputs, outputs, intermediate values and Resize nodes.

    The result may still fail at other sizes, because shapes can be part of the weights. It has to be tried.
    """
    graph = model.graph
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except Exception:  # without inferred shapes, Resize nodes stay as they are
        inferred = model
    fixed = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.graph.value_info, *inferred.graph.input)
    }
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Resize" or len(node.input) < 4 or node.input[3] not in weights:
            continue
        before, after = fixed.get(node.input[0], []), numpy_helper.to_array(weights[node.input[3]]).tolist()
        if len(before) != len(after) or not all(before):
            continue
        scales = np.array([new / old for new, old in zip(after, before, strict=True)], np.float32)
        name = f"{node.output[0]}.scales"
        graph.initializer.append(numpy_helper.from_array(scales, name))
        node.input[2] = name
        del node.input[3]
    del graph.value_info[:]
    names = {tensor.name for tensor in graph.initializer}
    for value in (*(value for value in graph.input if value.name not in names), *graph.output):
        dims = value.type.tensor_type.shape.dim
        for at, dim in enumerate(dims):
            if dim.dim_value != 3 or at in (0, 2):
                dim.Clear()
                dim.dim_param = f"{value.name}.{at}"
