"""ArtFID: Wright, Ommer, "ArtFID: Quantitative evaluation of neural style transfer", GCPR 2022."""

from __future__ import annotations


def artfid(lpips: float, fid: float) -> float:
    """Return (1 + LPIPS)(1 + FID), which is 1 at best. It penalizes lost content and missed style together.

    `lpips` is the mean over all results, each compared with its photograph. `fid` compares the results with
    the drawings of the style. Raises ValueError if one is below 0 or NaN.
    """
    if not (lpips >= 0 and fid >= 0):
        raise ValueError(f"LPIPS is {lpips} and FID is {fid}, expected numbers >= 0")
    return (1 + lpips) * (1 + fid)
