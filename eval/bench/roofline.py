"""The shortest time a picture can take: operations over the matrix units' rate, bytes over the bandwidth.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model" (2009): whichever of the
two takes longer is the limit, as a perfect program does both at once.
"""

from __future__ import annotations

from engines.generators import FIELD_GENERATORS
from engines.imaging.field_blocks import BLOCK, FIELDS, SAMPLES
from eval.bench.results import Limit

BYTES_PER_WEIGHT = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1, "fp8": 1}
"""Of one weight."""
RGB = (3, 3)
"""Channels of a generator of finished pictures."""


def roofline_limit(
    *,
    macs: int,
    parameters: int,
    precision: str,
    channels: tuple[int, int],
    picture: tuple[int, int],
    working: tuple[int, int],
    rate: float,
    bandwidth: float,
) -> Limit:
    """Of one picture of `picture` (width, height) that the generator sees as `working`.

    `channels` are those that it takes and gives, a byte each: of pixels, or of blocks where it gives fields.
    `rate` is in multiply-accumulates a second, `bandwidth` in bytes read or written a second. What passes
    between a network's layers is not counted: caches may hold it, and a limit must not lie.
    """
    planes = 3 * picture[0] * picture[1] // 2  # YUV 4:2:0
    side = 1 if channels == RGB else BLOCK
    view = sum(channels) * -(-working[0] // side) * -(-working[1] // side)
    transferred = 2 * planes + view + parameters * BYTES_PER_WEIGHT[precision]
    return Limit(macs, transferred, round(1000 * macs / rate, 4), round(1000 * transferred / bandwidth, 4))


def fraction(limit: Limit, latency_ms: float) -> float:
    """Of the limit that was reached: its time over the measured one."""
    return round(max(limit.matrix_ms, limit.memory_ms) / latency_ms, 4)


def parameters_of(generator: str) -> int:
    """Weights of a generator by its name. Raises StyleError for an unknown one, ImportError without torch."""
    import torch

    from engines.generators import find

    with torch.device("meta"):
        return sum(weight.numel() for weight in find(generator)().parameters())


def channels_of(generator: str) -> tuple[int, int]:
    """Those that a generator takes and gives."""
    return (SAMPLES, FIELDS) if generator in FIELD_GENERATORS else RGB
