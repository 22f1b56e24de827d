"""The one object that travels through the whole tool: a picture that carries its time and colour."""

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
    """How a picture's code values are to be read."""

    matrix: Matrix = "bt709"
    full_range: bool = False
    """True: luma and chroma use 0..255; False: luma 16..235, chroma 16..240."""
    primaries: int = 2
    """ITU-T H.273 code (1 BT.709, 9 BT.2020, 2 unspecified): carried, never interpreted by an engine."""
    transfer: int = 2
    """ITU-T H.273 code (1 BT.709, 2 unspecified): carried, never interpreted by an engine."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Three 8-bit planes of YUV 4:2:0 with their time and colour.

    Chroma planes are ceil(H/2) x ceil(W/2). Raises ValueError when the planes do not fit together.
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
    """In units of `time_base`; 0 where the source does not say."""
    colour: ColorInfo = ColorInfo()
    is_key: bool = False
    """Whether the source codes it by itself: reading can begin there."""

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
        """CRC-32 of the samples, plane after plane."""
        check = 0
        for plane in (self.y, self.u, self.v):
            check = zlib.crc32(plane.tobytes(), check)
        return check

    def __repr__(self) -> str:
        return (
            f"Picture({self.width}x{self.height}, pts={self.pts}, time_base={self.time_base}, {self.colour})"
        )
