"""What a style costs: multiply-accumulates of its generator, and the time of a picture in each engine."""

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
    """Multiply-accumulates of a generator that sees one whole picture, padded as it needs; sides in pixels.

    Of its convolutions and matrix products; normalizations, activations and resizes are not counted. Only
    shapes are computed, which takes no time. Raises StyleError for an unknown generator, StreamtoonError
    where torch is missing.
    """
    try:
        import torch
        from torch.utils.flop_counter import FlopCounterMode
    except ImportError as error:
        raise StreamtoonError(
            f"counting multiply-accumulates needs torch, which is not installed; run: {install_line('torch')}"
        ) from error
    with torch.device("meta"), torch.inference_mode():
        network = find(generator)().eval()
        kind = BlockSize if generator in FIELD_GENERATORS else WorkingSize
        size = kind.of(height, width, 1.0, int(network.size_multiple))  # type: ignore[arg-type]
        rows, columns, channels = size.given
        counter = FlopCounterMode(display=False)
        with counter:
            network(torch.empty(1, channels, rows, columns))
    # torch counts a multiplication and an addition as two.
    return int(counter.get_total_flops()) // 2


def costs(
    style: Style,
    photo: Bytes,
    *,
    seconds: float = 1.0,
    runs: int = 3,
    tick: Callable[[], object] | None = None,
) -> tuple[Cost, ...]:
    """Every engine, device and precision here that runs the style, in every quality, timed in turns.

    From an RGB picture of 1280x720, cut out of `photo`, to its cartoon, conversions and guided filter or look
    included; by engine, then quality. `seconds` and `runs` as in `eval.scoring.timing.time_calls`; `tick` is
    called after every backend. What an engine refuses is left out. Raises EngineError when that is
    everything.
    """
    picture = _cut(photo)
    wishes = _wishes(style)
    found: list[Cost] = []
    # One backend's engines at a time: all of them together would fill the memory of a small machine.
    for backend, group in itertools.groupby(wishes, lambda wish: str(wish["backend"])):
        found += _costs_of(backend, list(group), style, picture, seconds, runs)
        if tick:
            tick()
    if not found:
        raise EngineError(f"no engine here runs {style.name}: streamtoon doctor says what is missing")
    return tuple(found)


def _costs_of(
    backend: str, wishes: Sequence[dict[str, Any]], style: Style, picture: Bytes, seconds: float, runs: int
) -> list[Cost]:
    with contextlib.ExitStack() as stack:
        engines: dict[tuple[str, str], Engine] = {}
        for wish, quality in itertools.product(wishes, NAMED_QUALITIES):
            with contextlib.suppress(EngineError):
                engine = stack.enter_context(
                    open_engine(EngineSettings(style, **wish, quality=quality), width=WIDTH, height=HEIGHT)
                )
                # Asked for a precision, an engine may compute in another, and that one stands there already.
                engines.setdefault((_title(engine), quality), engine)
        if not engines:
            log.info("%s runs no precision of %s here", backend, style.name)
            return []
        calls = {" ".join(key): partial(engine.rgb, picture) for key, engine in engines.items()}
        timings = time_calls(calls, seconds=seconds, runs=runs)
    return [Cost(*key, timings[" ".join(key)].median_ms) for key in engines]


def _wishes(style: Style) -> list[dict[str, Any]]:
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
    """Such as "openvino int8" or "torch cuda fp16": the device is named where it is not the processor."""
    facts = engine.facts
    device = "" if facts.device == "cpu" else f"{facts.device} "
    return f"{facts.backend} {device}{facts.precision}"


def _cut(photo: Bytes) -> Bytes:
    """The middle of a photo at 1280x720."""
    height, width = photo.shape[:2]
    scale = max(HEIGHT / height, WIDTH / width)
    size = (max(WIDTH, round(width * scale)), max(HEIGHT, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(photo, size, interpolation=method)
    top, left = (size[1] - HEIGHT) // 2, (size[0] - WIDTH) // 2
    return np.ascontiguousarray(resized[top : top + HEIGHT, left : left + WIDTH])
