"""Faces that are drawn, whose landmarks are therefore known."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from training.abstraction.face_finder import Face
from training.abstraction.face_ink import (
    CHIN,
    FOREHEAD,
    LEFT_SIDE,
    LOWER_LIP,
    NOSE_TIP,
    REGIONS,
    RIGHT_SIDE,
    UPPER_LIP,
)

EYES = ((-0.2, -0.15), (0.2, -0.15))
"""Centres of the person's right and left eye relative to the face's centre, in sizes of the face."""
EYE_AXES = 0.09, 0.035
PLACES = (*EYES, (-0.2, -0.28), (0.2, -0.28), (0.0, 0.2))
AXES = (EYE_AXES, EYE_AXES, (0.1, 0.02), (0.1, 0.02), (0.08, 0.05))
"""Of `REGIONS`."""


def front_face(x: float, y: float, size: float) -> Face:
    """A face seen from the front, `size` pixels from ear to ear, without landmarks that nothing uses."""
    points = np.full((468, 2), (x, y), np.float32)
    for region, place, axes in zip(REGIONS, PLACES, AXES, strict=True):
        angles = np.pi - np.arange(len(region.outline)) * (2 * np.pi / len(region.outline))
        ring = np.stack([np.cos(angles), -np.sin(angles)], 1) * axes + place
        points[list(region.outline)] = ring * size + (x, y)
    for lip in (UPPER_LIP, LOWER_LIP):
        points[list(lip)] = np.stack(
            [np.linspace(-0.12, 0.12, len(lip)), np.full(len(lip), 0.38)], 1
        ) * size + (x, y)
    points[RIGHT_SIDE], points[LEFT_SIDE] = (x - size / 2, y), (x + size / 2, y)
    points[FOREHEAD], points[CHIN] = (x, y - 0.6 * size), (x, y + 0.6 * size)
    points[NOSE_TIP] = x, y + 0.1 * size
    return Face(points)


def eye_mask(shape: tuple[int, int], x: float, y: float, size: float, eye: int) -> NDArray[np.bool_]:
    """Pixels whose centre lies in an eye of such a face; 0 is the right one."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    across = (columns - x) / size - EYES[eye][0]
    down = (rows - y) / size - EYES[eye][1]
    return np.asarray((across / EYE_AXES[0]) ** 2 + (down / EYE_AXES[1]) ** 2 <= 1)


def photo_of(
    x: float, y: float, size: float, faint: int, shape: tuple[int, int] = (160, 200)
) -> NDArray[np.uint8]:
    """A photograph of nothing but skin and two eyes, `faint` code values darker."""
    photo = np.full((*shape, 3), (190, 150, 130), np.uint8)
    for eye in (0, 1):
        photo[eye_mask(shape, x, y, size, eye)] -= np.uint8(faint)
    return np.asarray(cv2.GaussianBlur(photo, (0, 0), 0.4), np.uint8)
