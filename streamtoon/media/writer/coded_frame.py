"""A frame as an encoder gives it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CodedFrame:
    """One encoded packet, with times in the output stream's time base."""

    pts: int
    dts: int
    duration: int
    is_key: bool
    data: bytes
