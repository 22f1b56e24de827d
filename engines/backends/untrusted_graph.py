"""Checks of an untrusted graph at a given size: the memory that it needs, and whether it runs at all.

The bytes of the file were checked when the style was read. The memory depends on the size: OpenVINO infers
every shape without computing anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from engines.backends.base import Runner
from engines.errors import StreamtoonError, StyleError
from engines.registry.style import Style

MAX_VALUES_PER_PIXEL = 512
"""Most values that a node may output per pixel; our own generators need at most 64."""
MIN_VALUE_LIMIT = 1 << 22
"""Values that a node may output at any size."""


def open_untrusted(style: Style, open_runner: Callable[[], Runner], height: int, width: int) -> Runner:
    """Open a runner after checking its graph's shapes, and run it once on a grey image.

    Raises StyleError if no runtime reads the graph, if it needs too much memory, or if its output has another
    size than its input. A StreamtoonError of `open_runner` is passed on unchanged.
    """
    takes, gives = style.channels
    _check_memory(style, height, width)
    try:
        runner = open_runner()
    except StreamtoonError:
        raise
    except Exception as error:  # runtimes raise exceptions of their own, without a common base
        raise StyleError(f"style {style.name} cannot be used: {_shorten(error)}") from error
    try:
        drawn = runner(np.full((height, width, takes), 128, np.uint8))
    except Exception as error:
        runner.close()
        raise StyleError(f"style {style.name} fails at {width}x{height}: {_shorten(error)}") from error
    if drawn.shape != (height, width, gives):
        runner.close()
        raise StyleError(
            f"style {style.name} returns {drawn.shape[1]}x{drawn.shape[0]} for an input of {width}x{height}"
        )
    return runner


def _check_memory(style: Style, height: int, width: int) -> None:
    from engines.backends.openvino import get_core

    most = max(MIN_VALUE_LIMIT, MAX_VALUES_PER_PIXEL * height * width)
    for graph in {style.graph, style.int8_graph} - {None}:
        try:
            model = get_core().read_model(graph)
            model.reshape([1, style.channels[0], height, width])
            sizes = [
                (node.get_type_name(), output.get_partial_shape())
                for node in model.get_ops()
                if node.get_type_name() != "Constant"
                for output in node.outputs()
            ]
        except Exception as error:  # RuntimeError, MemoryError, or a message that cannot be decoded
            raise StyleError(f"{graph} is not a graph that can be run: {_shorten(error)}") from error
        for kind, shape in sizes:
            if shape.is_dynamic:
                raise StyleError(f"{graph} cannot be used: the output size of its node {kind} is unknown")
            values = math.prod(shape.to_shape())
            if values > most:
                raise StyleError(
                    f"{graph} needs {values:,} values in its node {kind} at {width}x{height}; "
                    f"the limit is {most:,}"
                )


def _shorten(error: Exception) -> str:
    """Return the last 160 characters of a runtime's message, on one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else f"...{text[-160:]}"
