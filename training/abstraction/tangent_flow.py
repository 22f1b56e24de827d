"""Edge tangent flow from the smoothed structure tensor.

Source: Brox, Weickert, Burgeth, Mrazek, "Nonlinear structure tensors", IVC 2006, as used for abstraction by
Kyprianidis and Doellner, "Image Abstraction by Structure Adaptive Filtering", TPCG 2008, section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.abstraction.sampling import Plane


@dataclass(frozen=True)
class Flow:
    """The direction in which colour changes most at every pixel. Lines are perpendicular to it."""

    x: Plane
    """H x W, the horizontal part of the unit gradient direction; (1, 0) where nothing changes."""
    y: Plane
    """The vertical part, positive downwards."""

    def along(self) -> Flow:
        """Return the tangent, which is the direction of the lines."""
        return Flow(-self.y, self.x)


def edge_tangent_flow(image: NDArray[np.float32], sigma: float) -> Flow:
    """Return the flow of an H x W x C float32 image.

    `sigma` (pixels) smooths the structure tensor, whose derivatives are Scharr's. The sign of a direction is
    arbitrary.
    """
    shape = image.shape[:2]
    xx, xy, yy = (np.zeros(shape, np.float32) for _ in range(3))
    for channel in cv2.split(image):
        dx = cv2.Scharr(channel, cv2.CV_32F, 1, 0, scale=1 / 32)
        dy = cv2.Scharr(channel, cv2.CV_32F, 0, 1, scale=1 / 32)
        xx += dx * dx
        xy += dx * dy
        yy += dy * dy
    xx, xy, yy = (np.asarray(cv2.GaussianBlur(part, (0, 0), sigma), np.float32) for part in (xx, xy, yy))
    largest = 0.5 * (xx + yy + np.sqrt((xx - yy) ** 2 + 4 * xy**2))
    x, y = largest - yy, xy
    length = np.hypot(x, y)
    plain = length < 1e-9
    # If this form of the eigenvector vanishes, use the other form: vertical gradients.
    x, y = np.where(plain & (yy > xx), 0, np.where(plain, 1, x)), np.where(plain & (yy > xx), 1, y)
    length = np.where(plain, 1, length)
    return Flow((x / length).astype(np.float32), (y / length).astype(np.float32))
