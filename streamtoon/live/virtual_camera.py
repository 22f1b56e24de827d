"""A virtual camera that shows the cartoon to other programs."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np

from engines.common.extras import install_line
from engines.frame import Frame, Plane
from streamtoon.errors import OutputError

_LINUX = (
    "`sudo modprobe v4l2loopback exclusive_caps=1 card_label=streamtoon` creates one (install the "
    "package v4l2loopback-dkms first)"
)
_OBS = "install OBS Studio (https://obsproject.com) and start its virtual camera once"
HOW: dict[str, str] = {"linux": _LINUX}
"""How to create the device, by system."""


class VirtualCamera:
    """A virtual camera for frames of one size; an odd last row or column is cut off.

    Raises OutputError if pyvirtualcam or a device is missing, with the command that installs it.
    """

    def __init__(self, width: int, height: int, rate: Fraction) -> None:
        try:
            import pyvirtualcam  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise OutputError(
                f"a virtual camera needs the package pyvirtualcam; run: {install_line('live')}"
            ) from error
        self._width, self._height = width // 2 * 2, height // 2 * 2
        try:
            self._camera = pyvirtualcam.Camera(
                self._width, self._height, float(rate), fmt=pyvirtualcam.PixelFormat.I420
            )
        except RuntimeError as error:
            way = HOW.get(sys.platform, _OBS)
            raise OutputError(f"no virtual camera is available: {way}") from error
        self.device: str = self._camera.device
        """Name of the device for other programs."""

    def send(self, picture: Frame) -> None:
        """Send a frame. Raises OutputError if the device is gone."""
        frame = i420(picture, self._width, self._height)
        try:
            self._camera.send(frame)
        except (RuntimeError, OSError) as error:
            raise OutputError(f"the virtual camera {self.device} accepts no more frames: {error}") from error

    def close(self) -> None:
        """Close the device."""
        self._camera.close()


def i420(picture: Frame, width: int, height: int) -> Plane:
    """Return the top left `width` x `height`, both even, as one row of samples: Y, U, V, limited range."""
    planes = (
        picture.y[:height, :width],
        picture.u[: height // 2, : width // 2],
        picture.v[: height // 2, : width // 2],
    )
    if picture.color.full_range:  # programs expect limited range from a camera
        y, u, v = planes
        planes = (_LUMA[y], _CHROMA[u], _CHROMA[v])
    return np.concatenate([plane.reshape(-1) for plane in planes])


_CODES = np.arange(256)
_LUMA = np.round(16 + _CODES * (219 / 255)).astype(np.uint8)
_CHROMA = np.round(128 + (_CODES - 128) * (224 / 255)).astype(np.uint8)
