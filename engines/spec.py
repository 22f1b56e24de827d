"""The words that settings are made of: precisions and qualities."""

from __future__ import annotations

from typing import Literal, get_args

Precision = Literal["fp32", "bf16", "fp16", "int8", "fp8"]
"""Arithmetic of a network."""
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
Quality = Literal["full", "fast", "lite", "custom"]
"""What an engine renders in; `custom` where the working size was given as `detail`."""
NamedQuality = Literal["full", "fast", "lite"]
NAMED_QUALITIES: tuple[NamedQuality, ...] = get_args(NamedQuality)
"""The best first."""
AskedPrecision = Literal["auto", "fp32", "bf16", "fp16", "int8", "fp8"]
AskedQuality = Literal["auto", "full", "fast", "lite"]
QUALITIES: tuple[AskedQuality, ...] = get_args(AskedQuality)
