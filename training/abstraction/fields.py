"""Compute paint and ink response of a photograph: two fields from which a look makes a drawing.

The paint is the photograph after several orientation-aligned bilateral passes, with small isolated features
(eyes, mouths, lettering) put back. The ink response is a flow-based difference of Gaussians before its
threshold: the larger of a bold one on the smoothed luma, and a fine one where there is little detail. Both
are local and mostly smooth, so a small network can learn them. The thresholds that make patches and lines
follow after the network.

Sources: Winnemoeller, Olsen, Gooch, "Real-Time Video Abstraction", SIGGRAPH 2006 (paint and lines as two
layers, a line threshold relative to brightness); those of the modules used. Lengths are in pixels of an image
with a short side of about 720.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.abstraction.bilateral import Lab, oriented_bilateral
from training.abstraction.flow_dog import flow_dog, smoothstep
from training.abstraction.tangent_flow import edge_tangent_flow
from training.recipe import FieldSettings

MIN_RESPONSE, MAX_RESPONSE = -0.5, 2.0
"""Range of the ink response. A line begins at 1."""
PAD_PIXELS = 24
"""Pixels of mirrored border for the filters."""


@dataclass(frozen=True)
class AbstractionFields:
    """The fields of a photograph that a network learns."""

    paint: NDArray[np.uint8]
    """H x W x 3 RGB."""
    ink: NDArray[np.float32]
    """H x W from `MIN_RESPONSE` to `MAX_RESPONSE`. A line begins at 1."""


def fields_of(photo: NDArray[np.uint8], settings: FieldSettings | None = None) -> AbstractionFields:
    """Return the fields of an H x W x 3 RGB photograph. 1280 x 720 takes about 2 s on one core."""
    how = settings or FieldSettings()
    padded = cv2.copyMakeBorder(photo, PAD_PIXELS, PAD_PIXELS, PAD_PIXELS, PAD_PIXELS, cv2.BORDER_REFLECT_101)
    rgb = np.asarray(padded, np.float32) / np.float32(255)
    calm = np.asarray(cv2.bilateralFilter(rgb, 5, 0.07, 2.5), np.float32)
    flow = edge_tangent_flow(rgb, 2.0)
    paint = _lab(rgb)
    for _ in range(how.passes):
        paint = oriented_bilateral(paint, flow, how.sigma_distance, how.sigma_range)
    source = _lab(calm)
    light, flat_light = source[0] / 100, paint[0] / 100
    alone = _alone(light)
    bold = flow_dog(flat_light, flow, 1.4, 4.5) / (how.floor + flat_light)
    fine = flow_dog(light, edge_tangent_flow(calm, 1.3), 0.8, 2.5) / (how.floor + light)
    skin = _skin(paint)
    fine = fine * alone * (1 + (how.skin_lines - 1) * skin)
    ink = _without_specks(np.maximum(bold, fine) / how.threshold, alone)
    left_out = source - paint
    kept = alone * (how.kept + (1 - how.kept) * skin)
    paint = paint + kept * np.sign(left_out) * np.maximum(np.abs(left_out) - (1.5 - skin), 0)
    inside = slice(PAD_PIXELS, -PAD_PIXELS), slice(PAD_PIXELS, -PAD_PIXELS)
    painted = cv2.cvtColor(np.ascontiguousarray(paint.transpose(1, 2, 0)), cv2.COLOR_LAB2RGB)
    return AbstractionFields(
        np.asarray(cv2.convertScaleAbs(painted.clip(0, 1), alpha=255), np.uint8)[inside],
        np.clip(ink, MIN_RESPONSE, MAX_RESPONSE).astype(np.float32)[inside],
    )


def _lab(rgb: NDArray[np.float32]) -> Lab:
    return np.ascontiguousarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).transpose(2, 0, 1))


def _alone(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an H x W mask: 1 for small isolated features, 0 for texture (fur, rock, leaves)."""
    detail = np.abs(light - cv2.GaussianBlur(light, (0, 0), 2.0))
    busy = cv2.GaussianBlur((detail > 0.025).astype(np.float32), (0, 0), 10.0)
    return 1 - smoothstep(np.asarray(busy, np.float32), 0.22, 0.50)


def _skin(paint: Lab) -> NDArray[np.float32]:
    """Return an H x W mask: 1 where nearby colours are those of skin of any complexion, or of wood and
    sand.
    """
    l, a, b = (np.asarray(cv2.GaussianBlur(plane, (0, 0), 6.0), np.float32) for plane in paint)  # noqa: E741
    reddish = smoothstep(a, 3, 9) * (1 - smoothstep(a, 32, 42))
    yellowish = smoothstep(b, 4, 10) * (1 - smoothstep(b, 38, 48))
    return np.asarray(reddish * yellowish * smoothstep(l, 20, 32), np.float32)


SPECK_PIXELS = 26
"""In texture, a patch of ink with fewer pixels that is shorter than `SPECK_LENGTH_PIXELS` is a speck."""
SPECK_LENGTH_PIXELS = 12
"""Longer side of a speck's bounding box, in pixels."""
FAINT_RESPONSE = 0.75
"""The response of a speck after removal: below any line's threshold, but not a hole in the field."""


def _without_specks(ink: NDArray[np.float32], alone: NDArray[np.float32]) -> NDArray[np.float32]:
    inked = (ink > 0.9).astype(np.uint8)
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(inked, connectivity=8)
    small = boxes[:, cv2.CC_STAT_AREA] < SPECK_PIXELS
    short = np.maximum(boxes[:, cv2.CC_STAT_WIDTH], boxes[:, cv2.CC_STAT_HEIGHT]) < SPECK_LENGTH_PIXELS
    speck = small & short
    speck[0] = False
    # The change is gradual: a network cannot learn a hard border between busy and quiet places.
    cut = np.where(speck[labels], 1 - alone, 0)
    return np.asarray(ink - cut * np.maximum(ink - FAINT_RESPONSE, 0), np.float32)
