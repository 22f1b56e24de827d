"""The shortest possible time per frame: operations over the rate of the matrix units, bytes over the
bandwidth.

The limit is the larger of the two, as a perfect program does both at once. Source: Williams, Waterman and
Patterson, "Roofline: an insightful visual performance model", 2009.
"""

from __future__ import annotations

from engines.generators import FIELD_GENERATORS
from engines.imaging.field_blocks import BLOCK, FIELDS, SAMPLES
from eval.bench.results import Limit

BYTES_PER_WEIGHT = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1, "fp8": 1}
"""Bytes of one weight by precision."""
RGB = (3, 3)
"""Input and output channels of a generator from RGB to RGB."""


def roofline_limit(
    *,
    macs: int,
    parameters: int,
    precision: str,
    channels: tuple[int, int],
    frame: tuple[int, int],
    working: tuple[int, int],
    rate: float,
    bandwidth: float,
) -> Limit:
    """Return the limit for one frame.

    Args:
        macs: Multiply-accumulates of the generator at its working size.
        parameters: Number of weights.
        precision: A key of `BYTES_PER_WEIGHT`.
        channels: Input and output channels of the generator, one byte each: of pixels, or of blocks if it
            returns fields.
        frame: Width and height of the frame in pixels.
        working: Width and height that the generator sees, in pixels.
        rate: Multiply-accumulates per second.
        bandwidth: Bytes read or written per second.

    Returns:
        The limit. Data between the layers of a network is not counted: it may stay in caches, and the limit
        must be a lower bound.
    """
    planes = 3 * frame[0] * frame[1] // 2  # YUV 4:2:0
    side = 1 if channels == RGB else BLOCK
    view = sum(channels) * -(-working[0] // side) * -(-working[1] // side)
    transferred = 2 * planes + view + parameters * BYTES_PER_WEIGHT[precision]
    return Limit(macs, transferred, round(1000 * macs / rate, 4), round(1000 * transferred / bandwidth, 4))


def fraction(limit: Limit, latency_ms: float) -> float:
    """Return the limit's time divided by the measured latency, both in milliseconds."""
    return round(max(limit.matrix_ms, limit.memory_ms) / latency_ms, 4)


def parameters_of(generator: str) -> int:
    """Return the number of weights of a generator.

    Raises StyleError for an unknown generator, ImportError without torch.
    """
    import torch

    from engines.generators import find

    with torch.device("meta"):
        return sum(weight.numel() for weight in find(generator)().parameters())


def channels_of(generator: str) -> tuple[int, int]:
    """Return the numbers of input and output channels of a generator."""
    return (SAMPLES, FIELDS) if generator in FIELD_GENERATORS else RGB
