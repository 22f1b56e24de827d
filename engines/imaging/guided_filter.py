"""The guided filter on the host, as box filters.

K. He, J. Sun, X. Tang, "Guided Image Filtering", TPAMI 35(6), 2013; K. He, J. Sun, "Fast Guided Filter",
arXiv:1505.00996, 2015. In every square window the output is a line in the guide, q = a I + b, fitted to
the source with a penalty of `eps` on a^2; a pixel takes the mean of the lines of all windows it lies in.
The fast form fits the lines on small pictures and applies them to the large guide.

Windows are cut at the border, and a mean there divides by the pixels that the cut window really holds.
`engines.imaging.guided_filter_torch` is the same for training and graphs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Bytes, Floats

BAND_ROWS = 40
"""Rows of lines that are applied at a time: what they are enlarged to, and multiplied, stays in the cache."""


@dataclass(frozen=True, slots=True)
class FilterSettings:
    """How a drawing comes to a picture's size, as a style's card has it."""

    radius: int
    """Pixels, at least 0."""
    eps: float
    """A fraction of the range squared, above 0."""
    lines: float
    """Share, 0 to 1, of what the filter takes from the drawing that is put back (`restore_detail`)."""


class Scratch:
    """Arrays by name, used again for picture after picture of one size.

    Fresh arrays of these sizes come from the system as pages to be cleared, which takes five times as long
    as all the filter's arithmetic. Whatever a function returns from a scratch is valid until its next call
    with it.
    """

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[Any]] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: type[np.generic] = np.float32) -> NDArray[Any]:
        """The array of that name with anything in it, made anew where shape or type have changed."""
        array = self._arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._arrays[name] = np.empty(shape, dtype)
        return array


def _means(image: NDArray[Any], radius: int, out: Floats) -> Floats:
    """The mean over each pixel's window, H x W, written to `out`, which is not `image`."""
    height, width = image.shape
    window = 2 * radius + 1
    cv2.boxFilter(image, cv2.CV_32F, (window, window), out, borderType=cv2.BORDER_CONSTANT)
    # Beyond the border there are zeros: a mean near it is too small by what the window has out there.
    for along, size in ((out, height), (out.T, width)):
        if 2 * radius >= size:
            along *= _too_small_by(size, radius)[:, None]
        elif radius:
            share = _too_small_by(window, radius)[:radius, None]
            along[:radius] *= share
            along[-radius:] *= share[::-1]
    return out


@lru_cache(maxsize=16)
def _too_small_by(size: int, radius: int) -> Floats:
    """Full window / part of it that lies inside, for every place along a side of that many pixels."""
    at = np.arange(size)
    inside = np.minimum(at + radius, size - 1) - np.maximum(at - radius, 0) + 1
    share: Floats = ((2 * radius + 1) / inside).astype(np.float32)
    share.flags.writeable = False
    return share


def coefficients(
    guide: Bytes | Floats, source: Bytes | Floats, radius: int, eps: float, scratch: Scratch | None = None
) -> tuple[Floats, Floats]:
    """The averaged lines (a, b) of Eqs. 5, 6 and 8 of the 2013 paper, each H x W float32.

    `guide` and `source` are H x W grey pictures of one dtype: uint8 with the range 0..255, or float32 with
    the range 0..1. `radius` is in pixels, at least 0; `eps` is a fraction of the range squared, above 0.
    Raises ValueError for anything else.
    """
    if guide.ndim != 2 or guide.shape != source.shape or guide.dtype != source.dtype:
        raise ValueError(
            f"guide is {guide.dtype} {guide.shape}, source {source.dtype} {source.shape}: "
            "expected two H x W of one type"
        )
    if guide.dtype not in (np.uint8, np.float32) or radius < 0 or eps <= 0:
        got = f"got {guide.dtype}, {radius}, {eps}"
        raise ValueError(f"expected uint8 or float32, radius >= 0 and eps > 0: {got}")
    codes = guide.dtype == np.uint8
    scratch = scratch or Scratch()
    mean_i, mean_p, covariance, variance, spare = (
        scratch.take(name, guide.shape) for name in ("mean_i", "mean_p", "covariance", "variance", "spare")
    )

    def product(one: Bytes | Floats, other: Bytes | Floats) -> Floats:
        return np.asarray(cv2.multiply(one, other, spare, dtype=cv2.CV_32F), np.float32)

    _means(guide, radius, mean_i)
    _means(source, radius, mean_p)
    _means(product(guide, source), radius, covariance)
    _means(product(guide, guide), radius, variance)
    covariance -= np.multiply(mean_i, mean_p, out=spare)
    variance -= np.multiply(mean_i, mean_i, out=spare)
    variance += np.float32(eps * 255**2 if codes else eps)
    a = np.divide(covariance, variance, out=covariance)
    b = np.subtract(mean_p, np.multiply(a, mean_i, out=spare), out=mean_p)
    return _means(a, radius, variance), _means(b, radius, mean_i)


def fast_coefficients(
    guide: Bytes, source: Bytes, radius: int, eps: float, scratch: Scratch | None = None
) -> tuple[Floats, Floats]:
    """As `coefficients`; for an even radius fitted at half the size with half the radius, and enlarged.

    That is the fast filter with a subsampling of 2, which has a quarter of the arithmetic. On photographs at
    720p with radius 2 the filtered pictures differ by 0.15 code values in the mean, SSIM 0.999.
    """
    height, width = guide.shape
    if radius < 2 or radius % 2 or min(height, width) < 2:
        return coefficients(guide, source, radius, eps, scratch)
    scratch = scratch or Scratch()
    half = (width // 2, height // 2)
    small_guide, small_source = (
        np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.uint8)
        for plane in (guide, source)
    )
    small = coefficients(small_guide, small_source, radius // 2, eps, scratch)
    a, b = (scratch.take(name, guide.shape) for name in ("a", "b"))
    for fitted, enlarged in zip(small, (a, b), strict=True):
        cv2.resize(fitted, (width, height), enlarged, interpolation=cv2.INTER_LINEAR)
    return a, b


def restore_detail(
    a: Floats, b: Floats, guide: Bytes, source: Bytes, share: float, scratch: Scratch | None = None
) -> Floats:
    """`b` such that a I + b gives back that share, 0 to 1, of what the filter takes from the source.

    Lines a generator draws where the source has no edge are no line in the guide, and the filter pales
    them. With share 1, at the size of the fit, the source itself comes back.
    """
    left_out: Floats = (scratch or Scratch()).take("left_out", guide.shape)
    np.multiply(a, guide, out=left_out)
    left_out += b
    np.subtract(source, left_out, out=left_out)
    left_out *= np.float32(share)
    left_out += b
    return left_out


def at_full_size(
    luma: Bytes, guide: Bytes, drawn: Bytes, settings: FilterSettings, scratch: Scratch | None = None
) -> Bytes:
    """A drawing's luma at the size of the picture's own, `luma`: H x W.

    `guide` is that luma at the drawing's size, h x w as `drawn`. Lines are fitted at that size and applied at
    the picture's (He and Sun's fast guided filter).
    """
    a, b = fast_coefficients(guide, drawn, settings.radius, settings.eps, scratch)
    if settings.lines:
        b = restore_detail(a, b, guide, drawn, settings.lines, scratch)
    return apply_coefficients(a, b, luma, scratch)


def guided_filter(guide: Bytes | Floats, source: Bytes | Floats, radius: int, eps: float) -> Floats:
    """`source` smoothed along `guide`, H x W float32 in their own range; arguments as `coefficients`."""
    a, b = coefficients(guide, source, radius, eps)
    a *= guide
    a += b
    return a


def apply_coefficients(a: Floats, b: Floats, guide: Bytes, scratch: Scratch | None = None) -> Bytes:
    """Returns a I + b at the guide's size, rounded and clipped to 0..255: the fast filter's last step.

    `a` and `b` are h x w, and enlarged bilinearly to the guide's H x W where they differ. The result is an
    array of its own, never a scratch.
    """
    scratch = scratch or Scratch()
    height, width = guide.shape
    factor = 2 if guide.shape == (2 * a.shape[0], 2 * a.shape[1]) else 1
    if factor == 1 and a.shape != guide.shape:
        a, b = _enlarged((a, b), width, height, ("a_whole", "b_whole"), scratch)
    rows, beside = a.shape[0], factor - 1  # a row that is enlarged takes from those beside it
    out = np.empty(guide.shape, np.uint8)
    for top in range(0, rows, BAND_ROWS):
        bottom = min(top + BAND_ROWS, rows)
        first, last = max(0, top - beside), min(rows, bottom + beside)
        lines = a[first:last], b[first:last]
        if factor == 2:
            lines = _enlarged(lines, width, 2 * (last - first), ("a_band", "b_band"), scratch)
        band = slice(factor * (top - first), factor * (bottom - first))
        here = slice(factor * top, factor * bottom)
        product = scratch.take("product", (factor * BAND_ROWS, width))[: here.stop - here.start]
        cv2.multiply(lines[0][band], guide[here], product, dtype=cv2.CV_32F)
        cv2.add(product, lines[1][band], out[here], dtype=cv2.CV_8U)
    return out


def _enlarged(
    lines: tuple[Floats, Floats], width: int, height: int, names: tuple[str, str], scratch: Scratch
) -> tuple[Floats, Floats]:
    most = max(
        height, 2 * (BAND_ROWS + 2)
    )  # bands differ by the rows beside them, and share what they are put in
    a, b = (
        np.asarray(cv2.resize(each, (width, height), scratch.take(name, (most, width))[:height]), np.float32)
        for each, name in zip(lines, names, strict=True)
    )
    return a, b
