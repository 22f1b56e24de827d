"""Compare encoders at equal quality: the cost of the CRF at which one would reach the SSIM of another."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from engines.errors import StreamtoonError

CRF_STEP = 3


@dataclass(frozen=True, slots=True)
class EncodedPoint:
    """The cost and quality of one encoding."""

    crf: float
    ssim: float
    """Mean over frames, below 1."""
    cpu_ms: float
    """CPU time of all threads per frame, milliseconds."""
    kilobytes: float
    """1000 bytes per frame."""


def bracket(
    encode: Callable[[int], EncodedPoint], ssim: float, start: int, crfs: range
) -> tuple[EncodedPoint, EncodedPoint]:
    """Encode at CRFs from `start` on, in steps of `CRF_STEP`, until two lie on both sides of `ssim`.

    Returns the two, the one of lower SSIM first. Raises StreamtoonError if no CRF of `crfs` is far enough.
    """
    found = encode(start)
    is_better = found.ssim >= ssim
    while True:
        crf = int(found.crf) + (CRF_STEP if is_better else -CRF_STEP)
        if crf not in crfs:
            raise StreamtoonError(f"no CRF from {crfs[0]} to {crfs[-1]} gives an SSIM of {ssim:.4f}")
        last, found = found, encode(crf)
        if (found.ssim >= ssim) != is_better:
            return (found, last) if is_better else (last, found)


def at_ssim(low: EncodedPoint, high: EncodedPoint, ssim: float) -> EncodedPoint:
    """Return the encoding of SSIM `ssim`, interpolated between two on both sides of it.

    CRF, CPU time and the logarithm of the size are taken as linear in the decibels of the SSIM,
    -10 log10(1 - SSIM).
    """
    below, wanted, above = (-math.log10(1 - one) for one in (low.ssim, ssim, high.ssim))
    share = (wanted - below) / (above - below)
    return EncodedPoint(
        crf=low.crf + share * (high.crf - low.crf),
        ssim=ssim,
        cpu_ms=low.cpu_ms + share * (high.cpu_ms - low.cpu_ms),
        kilobytes=low.kilobytes * (high.kilobytes / low.kilobytes) ** share,
    )
