"""A stranger's graph at a picture's size: what memory it asks for, and whether it draws at all.

The files were checked in their bytes when the style was read. What the graph makes of a picture's size is
known only with that size: OpenVINO works out every shape without computing anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from engines.backends.base import Runner
from engines.errors import StreamtoonError, StyleError
from engines.registry.style import Style

MAX_VALUES_PER_PIXEL = 512
"""Values that a node may give for every pixel; the generators here give 64 at most."""
MIN_VALUE_LIMIT = 1 << 22
"""Values that it may give however small the picture is."""


def open_untrusted(style: Style, open_runner: Callable[[], Runner], height: int, width: int) -> Runner:
    """The runner, after its graph's shapes were looked at and one grey picture was drawn.

    Raises StyleError for a graph that no runtime reads, that asks for too much memory or does not draw a
    picture of the size given; what else `open_runner` raises for a person stays as it is.
    """
    takes, gives = style.channels
    _check_memory(style, height, width)
    try:
        runner = open_runner()
    except StreamtoonError:
        raise
    except Exception as error:  # runtimes raise their own, with no base but this
        raise StyleError(f"style {style.name} cannot be used: {_shorten(error)}") from error
    try:
        drawn = runner(np.full((height, width, takes), 128, np.uint8))
    except Exception as error:
        runner.close()
        raise StyleError(
            f"style {style.name} does not draw at {width}x{height}: {_shorten(error)}"
        ) from error
    if drawn.shape != (height, width, gives):
        runner.close()
        raise StyleError(f"style {style.name} makes {drawn.shape[1]}x{drawn.shape[0]} of {width}x{height}")
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
        except Exception as error:  # RuntimeError, MemoryError, or a message that is no text
            raise StyleError(f"{graph} is no graph that can be run: {_shorten(error)}") from error
        for kind, shape in sizes:
            if shape.is_dynamic:
                raise StyleError(f"{graph} cannot be used: what its {kind} takes of memory cannot be known")
            values = math.prod(shape.to_shape())
            if values > most:
                raise StyleError(
                    f"{graph} asks {kind} to make {values:,} values of a picture of {width}x{height}; "
                    f"allowed are {most:,}"
                )


def _shorten(error: Exception) -> str:
    """The last words of a runtime's message, on one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= 160 else f"...{text[-160:]}"
