"""Score of the cycle photo -> cartoon -> photo: Li, "New Evaluation Method of Animation Image Transfer"."""

from __future__ import annotations

ACCEPTED = (45.0, 70.0)
"""The scores that the paper accepts."""


def li_score(ssim: float, psnr: float) -> float:
    """Return 50 SSIM + PSNR of the reconstructed photo compared with the original.

    `psnr` is in dB. The score is infinite if it is, which only a lossless cycle reaches.
    """
    return 50 * ssim + psnr


def accepted(score: float) -> bool:
    """Return whether the score is within the paper's range, ends included. The paper does not explain its
    upper end.
    """
    low, high = ACCEPTED
    return low <= score <= high
