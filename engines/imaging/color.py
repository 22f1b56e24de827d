"""Conversion between YUV and RGB of 8-bit code values, for every matrix and range, by 3 x 4 matrices.

Closed form from Kr and Kb: ITU-R BT.601-7 section 2.5, BT.709-6 section 3 and BT.2020-2 table 4 define
Y' = Kr R' + (1 - Kr - Kb) G' + Kb B', Cb = (B' - Y') / (2 - 2 Kb) and Cr = (R' - Y') / (2 - 2 Kr), with
Y' in 0..1 and Cb, Cr in -0.5..0.5. Limited range puts Y' at 16 + 219 Y' and chroma at 128 + 224 C; full
range (ITU-T H.273, VideoFullRangeFlag 1) at 255 Y' and 128 + 255 C.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Bytes
from engines.frame import LUMA_WEIGHTS, ColorInfo, Matrix


@lru_cache(maxsize=16)
def rgb_to_yuv_matrix(matrix: Matrix, full_range: bool) -> NDArray[np.float64]:
    """Return the 3 x 4 matrix from (R, G, B, 1) in 0..255 to (Y, U, V) code values."""
    kr, kb = LUMA_WEIGHTS[matrix]
    luma = np.array([kr, 1 - kr - kb, kb])
    cb = (np.array([0.0, 0.0, 1.0]) - luma) / (2 - 2 * kb)
    cr = (np.array([1.0, 0.0, 0.0]) - luma) / (2 - 2 * kr)
    luma_span, chroma_span, black = (255, 255, 0) if full_range else (219, 224, 16)
    rows = np.stack([luma * luma_span, cb * chroma_span, cr * chroma_span]) / 255
    return np.column_stack([rows, [black, 128, 128]])


@lru_cache(maxsize=16)
def yuv_to_rgb_matrix(matrix: Matrix, full_range: bool) -> NDArray[np.float64]:
    """Return the 3 x 4 matrix from (Y, U, V, 1) code values to (R, G, B) in 0..255."""
    forward = rgb_to_yuv_matrix(matrix, full_range)
    inverse = np.linalg.inv(forward[:, :3])
    return np.column_stack([inverse, -inverse @ forward[:, 3]])


def yuv_to_rgb(y: Bytes, u: Bytes, v: Bytes, color: ColorInfo) -> Bytes:
    """Convert three H x W planes to H x W x 3 RGB, rounded and clipped to 0..255."""
    matrix = yuv_to_rgb_matrix(color.matrix, color.full_range)
    return np.asarray(cv2.transform(cv2.merge([y, u, v]), matrix), np.uint8)


def rgb_to_yuv(rgb: Bytes, color: ColorInfo) -> tuple[Bytes, Bytes, Bytes]:
    """Convert H x W x 3 RGB to three H x W planes. Every RGB triple is within the limits of the range."""
    yuv = cv2.transform(rgb, rgb_to_yuv_matrix(color.matrix, color.full_range))
    y, u, v = (np.asarray(plane, np.uint8) for plane in cv2.split(yuv))
    return y, u, v
