"""The cartoon as a camera that other programs can choose."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np

from engines.picture import Picture, Plane
from streamtoon.errors import OutputError

_LINUX = (
    "`sudo modprobe v4l2loopback exclusive_caps=1 card_label=streamtoon` creates it (the module is in the "
    "package v4l2loopback-dkms)"
)
_OBS = "install OBS Studio (https://obsproject.com) and start its virtual camera once"
HOW: dict[str, str] = {"linux": _LINUX}
"""What creates the device, by system."""


class VirtualCamera:
    """Takes pictures of one size, the odd last row and column left out.

    Raises OutputError where pyvirtualcam or a device is missing, with what brings it.
    """

    def __init__(self, width: int, height: int, rate: Fraction) -> None:
        try:
            import pyvirtualcam  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise OutputError(
                "a virtual camera needs the package pyvirtualcam: pip install 'streamtoon[live]'"
            ) from error
        self._width, self._height = width // 2 * 2, height // 2 * 2
        try:
            self._camera = pyvirtualcam.Camera(
                self._width, self._height, float(rate), fmt=pyvirtualcam.PixelFormat.I420
            )
        except RuntimeError as error:
            way = HOW.get(sys.platform, _OBS)
            raise OutputError(f"there is no virtual camera that is free: {way}") from error
        self.device: str = self._camera.device
        """What other programs call it."""

    def send(self, picture: Picture) -> None:
        """Show one picture. Raises OutputError where the device is gone."""
        frame = i420(picture, self._width, self._height)
        try:
            self._camera.send(frame)
        except (RuntimeError, OSError) as error:
            raise OutputError(f"the virtual camera {self.device} takes no more pictures: {error}") from error

    def close(self) -> None:
        """Give the device back."""
        self._camera.close()


def i420(picture: Picture, width: int, height: int) -> Plane:
    """The top left `width` x `height`, both even, as one row of samples: Y, U, V, in limited range."""
    planes = (
        picture.y[:height, :width],
        picture.u[: height // 2, : width // 2],
        picture.v[: height // 2, : width // 2],
    )
    if picture.colour.full_range:  # programs take a camera's I420 for limited
        y, u, v = planes
        planes = (_LUMA[y], _CHROMA[u], _CHROMA[v])
    return np.concatenate([plane.reshape(-1) for plane in planes])


_CODES = np.arange(256)
_LUMA = np.round(16 + _CODES * (219 / 255)).astype(np.uint8)
_CHROMA = np.round(128 + (_CODES - 128) * (224 / 255)).astype(np.uint8)
