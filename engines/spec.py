"""The names of precisions and qualities, and the limits of `detail`."""

from __future__ import annotations

from typing import Literal, get_args

Precision = Literal["fp32", "bf16", "fp16", "int8", "fp8"]
"""Number format of a network's arithmetic."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Quality = Literal["full", "fast", "lite", "custom"]
"""Quality of an open engine; `custom` if the working size was given as `detail`."""
NamedQuality = Literal["full", "fast", "lite"]
NAMED_QUALITIES: tuple[NamedQuality, ...] = get_args(NamedQuality)
"""From the best to the fastest."""
AskedPrecision = Literal["auto", "fp32", "bf16", "fp16", "int8", "fp8"]
AskedQuality = Literal["auto", "full", "fast", "lite"]
QUALITIES: tuple[AskedQuality, ...] = get_args(AskedQuality)
MIN_DETAIL, MAX_DETAIL = 0.25, 2.0
"""Range of the working size as a share of the frame's size. Only looks can work above the frame's size."""
