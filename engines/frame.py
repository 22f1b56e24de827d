"""A video frame with its time and colour, which all parts of streamtoon pass around."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]
"""Y, U and V."""
Matrix = Literal["bt601", "bt709", "bt2020"]

LUMA_WEIGHTS: dict[Matrix, tuple[float, float]] = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
}
"""(Kr, Kb) of each matrix: ITU-R BT.601-7, BT.709-6 and BT.2020-2 (non-constant luminance)."""


@dataclass(frozen=True, slots=True)
class ColorInfo:
    """The meaning of a frame's code values."""

    matrix: Matrix = "bt709"
    full_range: bool = False
    """Luma and chroma use 0..255 if True; luma 16..235 and chroma 16..240 if False."""
    primaries: int = 2
    """ITU-T H.273 code (1 BT.709, 9 BT.2020, 2 unspecified). Engines pass it on without using it."""
    transfer: int = 2
    """ITU-T H.273 code (1 BT.709, 2 unspecified). Engines pass it on without using it."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Three 8-bit planes of YUV 4:2:0 with their time and colour.

    Chroma planes are ceil(H/2) x ceil(W/2). Raises ValueError if the planes' types or sizes do not match.
    """

    y: Plane
    """Luma, H x W."""
    u: Plane
    """Cb, ceil(H/2) x ceil(W/2)."""
    v: Plane
    """Cr, the same size as `u`."""
    pts: int
    """Presentation timestamp in units of `time_base`."""
    time_base: Fraction
    """Seconds per unit of `pts`."""
    duration: int = 0
    """In units of `time_base`; 0 if unknown."""
    color: ColorInfo = ColorInfo()
    is_key: bool = False
    """Whether it is coded independently of other frames, so that reading can start there."""

    def __post_init__(self) -> None:
        chroma = ((self.height + 1) // 2, (self.width + 1) // 2)
        for name, plane, shape in (("y", self.y, self.y.shape), ("u", self.u, chroma), ("v", self.v, chroma)):
            if plane.dtype != np.uint8 or plane.ndim != 2 or plane.shape != shape or not plane.size:
                raise ValueError(f"plane {name} is {plane.dtype} {plane.shape}, expected uint8 {shape}")

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.y.shape[0])

    def check(self) -> int:
        """Return the CRC-32 of the samples, plane after plane."""
        check = 0
        for plane in (self.y, self.u, self.v):
            check = zlib.crc32(plane.tobytes(), check)
        return check

    def __repr__(self) -> str:
        return f"Frame({self.width}x{self.height}, pts={self.pts}, time_base={self.time_base}, {self.color})"
