"""Draw the features of faces into an ink response: eyes, brows, the lower edge of the nose, the mouth.

A difference of Gaussians draws what is much darker than its surroundings. In a small, dim or blurred head
that is nothing, and the head remains a blank oval. People who draw a face draw eyes and a mouth anyway.
Landmarks tell where they are. Within each of these regions, what is darkest becomes ink, however little
darker it is. So an eye has the shape that it has in the photograph, and spectacles, beards and closed eyes
remain what they are.

Large faces are left to the difference of Gaussians, which draws their features in detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.common.arrays import Floats, Image
from training.abstraction.face_finder import Face
from training.abstraction.flow_dog import smoothstep

MIN_FACE_PIXELS = 14
"""Smaller faces are left out: an eye would be smaller than a pixel."""
SMALL_FACE_PIXELS, LARGE_FACE_PIXELS = 150, 280
"""Sizes of faces up to which features are drawn fully, and from which they are not."""
MAX_TURN = 0.55
"""How far a head may be turned before the features of its far side are left out: the difference of the nose's
distances from both sides of the face, relative to their sum."""
MIN_CONTRAST = 0.035
"""Difference of L* / 100 within a region below which there is no feature, such as an eye under hair."""
STEEPNESS = 2.2
"""Change of the response from the beginning of a line to the darkest sample."""
MAX_RESPONSE = 1.7
"""Largest response of a feature. A line begins at 1."""
SUBPIXELS = 4
"""Regions are rasterised at this many times the photograph's size."""

NOSE_TIP, CHIN, FOREHEAD = 1, 152, 10
RIGHT_SIDE, LEFT_SIDE = 234, 454
"""Landmarks. Right is the person's right."""
UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
"""The inner edges of the lips, from corner to corner."""
LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)


@dataclass(frozen=True, slots=True)
class Region:
    """A region of a face that contains a feature."""

    outline: tuple[int, ...]
    """Landmarks around it."""
    margin: float
    """How much wider it is than its outline, as a share of the face's size."""
    ink_from: float
    """Darkness at which ink begins: 0 is the skin around the region, 1 its darkest samples."""
    strength: float = 1.0
    """Factor on the response."""
    far_turn: int = 0
    """Sign of the turn that hides it: 1 on the person's left side, -1 on the right, 0 for no turn."""


REGIONS = (
    Region((33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7), 0.0175, 0.5, 1, -1),
    Region(
        (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249), 0.0175, 0.5, 1, 1
    ),
    Region((70, 63, 105, 66, 107, 55, 65, 52, 53, 46), 0.01, 0.55, 0.9, -1),
    Region((300, 293, 334, 296, 336, 285, 295, 282, 283, 276), 0.01, 0.55, 0.9, 1),
    Region((98, 97, 2, 326, 327, 294, 278, 344, 440, 275, 4, 45, 220, 115, 48, 64), 0.0, 0.75, 0.9),
)
"""Eyes, brows, and the lower half of the nose, of which only nostrils are dark enough."""
MOUTH_INK_FROM = 0.55
MOUTH_WIDTH = 0.035
"""Width of the line between closed lips, as a share of the face's size."""


def with_face_ink(ink: Floats, photo: Image, faces: Sequence[Face]) -> tuple[Floats, Image]:
    """Return an ink response with the features of small faces, and where these features are.

    The second value is H x W: 255 around features that were drawn, else 0.

    Args:
        ink: The response, H x W; a line begins at 1.
        photo: The photograph, H x W x 3 RGB, or a clearer version of it: what is drawn is measured there.
        faces: The faces that it shows.
    """
    where = np.zeros(ink.shape, np.uint8)
    if not faces:
        return ink, where
    light = cv2.cvtColor(photo, cv2.COLOR_RGB2LAB)[..., 0].astype(np.float32) / np.float32(255)
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), 0.5), np.float32)
    drawn = ink.copy()
    for face in faces:
        _draw(drawn, where, light, face)
    return drawn, where


def face_size(face: Face) -> float:
    """Return the size of a face in pixels: the larger of its width from ear to ear and 3/4 of its height."""
    points = face.points
    width = float(np.linalg.norm(points[LEFT_SIDE] - points[RIGHT_SIDE]))
    return max(width, 0.75 * float(np.linalg.norm(points[CHIN] - points[FOREHEAD])))


def _draw(ink: Floats, where: Image, light: Floats, face: Face) -> None:
    """Draw the features of a face into a response and mark them, in place."""
    size = face_size(face)
    share = 1 - float(smoothstep(np.array(size, np.float32), SMALL_FACE_PIXELS, LARGE_FACE_PIXELS))
    if share == 0 or size < MIN_FACE_PIXELS:
        return
    points = face.points
    right, left = (np.linalg.norm(points[NOSE_TIP] - points[side]) for side in (RIGHT_SIDE, LEFT_SIDE))
    turn = float((right - left) / (right + left))
    for region in REGIONS:
        if region.far_turn * turn > MAX_TURN:
            continue
        ring = points[list(region.outline)]
        mask = _Mask(ring, ink.shape)
        mask.fill(ring)
        if region.margin:
            mask.line(ring, max(0.8, region.margin * size), closed=True)
        _darken(ink, where, light, mask, region.ink_from, region.strength * share, size)
    lips = points[list(UPPER_LIP)], points[list(LOWER_LIP)]
    mouth = np.concatenate([lips[0], lips[1][::-1]])
    mask = _Mask(mouth, ink.shape)
    mask.fill(mouth)
    mask.line(np.asarray((lips[0] + lips[1]) / 2, np.float32), max(1.6, MOUTH_WIDTH * size), closed=False)
    _darken(ink, where, light, mask, MOUTH_INK_FROM, share, size)


class _Mask:
    """The mask of a region, in a part of the photograph that leaves room around it."""

    def __init__(self, outline: Floats, shape: tuple[int, ...]) -> None:
        low, high = outline.min(0), outline.max(0)
        room = int(np.linalg.norm(high - low)) + 4
        ends = np.minimum(high.astype(int) + room + 1, (shape[1], shape[0]))
        starts = np.minimum(np.maximum(np.floor(low).astype(int) - room, 0), ends)
        self.place = slice(starts[1], max(starts[1], ends[1])), slice(starts[0], max(starts[0], ends[0]))
        self._start = starts
        height, width = (part.stop - part.start for part in self.place)
        self._fine = np.zeros((height * SUBPIXELS, width * SUBPIXELS), np.uint8)

    def fill(self, outline: Floats) -> None:
        if self._fine.size:
            cv2.fillPoly(self._fine, [self._fine_points(outline)], 255)

    def line(self, points: Floats, width: float, *, closed: bool) -> None:
        """Draw a line; its width is in pixels of the photograph."""
        if self._fine.size:
            cv2.polylines(
                self._fine, [self._fine_points(points)], closed, 255, max(1, int(width * SUBPIXELS))
            )

    def coverage(self) -> Floats:
        """Return how much of each pixel of the part is covered, 0 to 1."""
        height, width = (side // SUBPIXELS for side in self._fine.shape)
        if not height or not width:
            return np.zeros((height, width), np.float32)
        small = cv2.resize(self._fine, (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32) / np.float32(255)

    def _fine_points(self, points: Floats) -> NDArray[np.int32]:
        return np.asarray((points - self._start + 0.5) * SUBPIXELS, np.int32)


def _darken(
    ink: Floats, where: Image, light: Floats, mask: _Mask, ink_from: float, strength: float, size: float
) -> None:
    """Turn the darkest samples of a region into ink and mark the region, in place."""
    covered = mask.coverage()
    inside = covered > 0.3
    if np.count_nonzero(inside) < 3:
        return
    part = light[mask.place]
    reach = max(1, int(0.04 * size))
    around = cv2.dilate((covered > 0).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=reach) > 0
    skin, darkest = float(np.percentile(part[around], 80)), float(np.percentile(part[inside], 4))
    if skin - darkest < MIN_CONTRAST:
        return
    darkness = np.clip((skin - part) / (skin - darkest), 0, 1.15)
    response = np.minimum(1 + STEEPNESS * (darkness - ink_from), MAX_RESPONSE)
    response *= strength * np.minimum(1, 1.6 * covered)
    where[mask.place][around] = 255
    here = ink[mask.place]
    np.maximum(here, np.where(covered > 0, response, here), out=here)
