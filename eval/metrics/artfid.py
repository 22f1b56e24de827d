"""ArtFID: Wright, Ommer, "ArtFID: Quantitative evaluation of neural style transfer", GCPR 2022."""

from __future__ import annotations


def artfid(lpips: float, fid: float) -> float:
    """(1 + LPIPS)(1 + FID), 1 at best: content that is lost and style that is missed, at once.

    `lpips` is the mean over the pictures, each against its photograph; `fid` is between the results and the
    drawings of the style. Raises ValueError where one is below 0 or NaN.
    """
    if not (lpips >= 0 and fid >= 0):
        raise ValueError(f"LPIPS {lpips} and FID {fid}, expected numbers of at least 0")
    return (1 + lpips) * (1 + fid)
