"""The cost of a style: multiply-accumulates of its generator, and the time per image in each engine."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np

from engines.backends.selection import available
from engines.common.arrays import Bytes
from engines.common.extras import install_line
from engines.engine import Engine
from engines.errors import EngineError, StreamtoonError
from engines.factory import open_engine
from engines.generators import FIELD_GENERATORS, find
from engines.imaging.working_size import BlockSize, WorkingSize
from engines.registry.style import Style
from engines.settings import EngineSettings
from engines.spec import NAMED_QUALITIES, Precision
from eval.scoring.results import Cost
from eval.scoring.timing import time_calls

log = logging.getLogger(__name__)

WIDTH, HEIGHT = 1280, 720


def generator_macs(generator: str, height: int = HEIGHT, width: int = WIDTH) -> int:
    """Return the multiply-accumulates of a generator for one whole image, padded as it needs, sides in
    pixels.

    Only convolutions and matrix products are counted, not normalizations, activations and resizes. The
    tensors have shapes but no values, so this takes no time. Raises StyleError for an unknown generator,
    StreamtoonError if torch is not installed.
    """
    try:
        import torch
        from torch.utils.flop_counter import FlopCounterMode
    except ImportError as error:
        raise StreamtoonError(
            "counting multiply-accumulates needs torch, which is not installed; install it with: "
            f"{install_line('torch')}"
        ) from error
    with torch.device("meta"), torch.inference_mode():
        network = find(generator)().eval()
        kind = BlockSize if generator in FIELD_GENERATORS else WorkingSize
        size = kind.of(height, width, 1.0, int(network.size_multiple))  # type: ignore[arg-type]
        rows, columns, channels = size.given
        counter = FlopCounterMode(display=False)
        with counter:
            network(torch.empty(1, channels, rows, columns))
    # torch counts a multiplication and an addition as two operations.
    return int(counter.get_total_flops()) // 2


def costs(
    style: Style,
    photo: Bytes,
    *,
    seconds: float = 1.0,
    runs: int = 3,
    tick: Callable[[], object] | None = None,
) -> tuple[Cost, ...]:
    """Time every available engine, device and precision of the style in every quality, in turns.

    The time runs from an RGB image to its cartoon, including conversions and guided filter or look. Engines
    that refuse the style are left out.

    Args:
        style: The style.
        photo: An RGB image, of which the middle 1280x720 pixels are used.
        seconds: Time for each quality, see `eval.scoring.timing.time_calls`.
        runs: The least number of runs, see `eval.scoring.timing.time_calls`.
        tick: Called after every backend.

    Returns:
        The costs, ordered by engine, then quality.

    Raises:
        EngineError: No engine can run the style.
    """
    image = _cut(photo)
    requests = _requests(style)
    found: list[Cost] = []
    # One backend at a time: the engines of all backends would fill the memory of a small machine.
    for backend, group in itertools.groupby(requests, lambda request: str(request["backend"])):
        found += _costs_of(backend, list(group), style, image, seconds, runs)
        if tick:
            tick()
    if not found:
        raise EngineError(
            f"no installed engine can run {style.name}; `streamtoon doctor` shows what is missing"
        )
    return tuple(found)


def _costs_of(
    backend: str, requests: Sequence[dict[str, Any]], style: Style, image: Bytes, seconds: float, runs: int
) -> list[Cost]:
    with contextlib.ExitStack() as stack:
        engines: dict[tuple[str, str], Engine] = {}
        for request, quality in itertools.product(requests, NAMED_QUALITIES):
            with contextlib.suppress(EngineError):
                engine = stack.enter_context(
                    open_engine(EngineSettings(style, **request, quality=quality), width=WIDTH, height=HEIGHT)
                )
                # An engine may compute in another precision than requested, which the list already contains.
                engines.setdefault((_title(engine), quality), engine)
        if not engines:
            log.info("%s supports no precision of %s on this machine", backend, style.name)
            return []
        calls = {" ".join(key): partial(engine.rgb, image) for key, engine in engines.items()}
        timings = time_calls(calls, seconds=seconds, runs=runs)
    return [Cost(*key, timings[" ".join(key)].median_ms) for key in engines]


def _requests(style: Style) -> list[dict[str, Any]]:
    return [
        {"backend": row.name, "device": device, "precision": precision}
        for row in available()
        for device, precisions in row.devices.items()
        for precision in precisions
        if _offers(style, precision)
    ]


def _offers(style: Style, precision: Precision) -> bool:
    return precision != "int8" or style.int8_graph is not None


def _title(engine: Engine) -> str:
    """Return a title such as "openvino int8" or "torch cuda fp16". The device is named unless it is the
    CPU.
    """
    facts = engine.facts
    device = "" if facts.device == "cpu" else f"{facts.device} "
    return f"{facts.backend} {device}{facts.precision}"


def _cut(photo: Bytes) -> Bytes:
    """Return the middle of a photo at 1280x720."""
    height, width = photo.shape[:2]
    scale = max(HEIGHT / height, WIDTH / width)
    size = (max(WIDTH, round(width * scale)), max(HEIGHT, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(photo, size, interpolation=method)
    top, left = (size[1] - HEIGHT) // 2, (size[0] - WIDTH) // 2
    return np.ascontiguousarray(resized[top : top + HEIGHT, left : left + WIDTH])
