"""Score of the way photo -> cartoon -> photo: Li, "New Evaluation Method of Animation Image Transfer"."""

from __future__ import annotations

ACCEPTED = (45.0, 70.0)
"""The scores that the paper takes for an acceptable model."""


def li_score(ssim: float, psnr: float) -> float:
    """50 SSIM + PSNR, both of the photo that came back against the one that set out.

    `psnr` is in dB; where it is infinite, which only a way back without loss reaches, so is the score.
    """
    return 50 * ssim + psnr


def accepted(score: float) -> bool:
    """Whether the score lies in the paper's band, its ends included. Why it ends above, it does not say."""
    low, high = ACCEPTED
    return low <= score <= high
