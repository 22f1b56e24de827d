"""A test image of any size for trying a generator: gradients, edges, lines, a little grain.

It contains black, white and all hues, and no two quarters or colours are alike. A network that rotates it,
swaps channels or shifts values is therefore detected.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ProbeImage = NDArray[np.float32]
"""Height x width x 3 RGB, 0 black to 1 white."""


def draw(height: int, width: int) -> ProbeImage:
    """Return the test image at that size, the same for every call."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = (y + 0.5) / height, (x + 0.5) / width
    sky = np.stack([0.35 + 0.4 * y, 0.6 + 0.3 * y, 0.95 - 0.1 * y], axis=-1)
    hill = y > 0.6 - 0.18 * np.sin(3 * x + 0.4)
    sky[hill] = np.stack([0.15 + 0.3 * x, 0.35 + 0.25 * y, 0.1 + 0.1 * x], axis=-1)[hill]
    for centre_y, centre_x, radius, color in (
        (0.22, 0.78, 0.13, (0.98, 0.85, 0.2)),
        (0.7, 0.25, 0.2, (0.8, 0.15, 0.12)),
        (0.82, 0.7, 0.14, (0.5, 0.2, 0.65)),
        (0.35, 0.3, 0.1, (1.0, 1.0, 1.0)),
        (0.88, 0.12, 0.08, (0.0, 0.0, 0.0)),
    ):
        distance = np.hypot(y - centre_y, (x - centre_x) * width / height) / radius
        shade = (1.05 - 0.35 * distance)[..., None]
        sky = np.where((distance < 1)[..., None], np.array(color, np.float32) * shade, sky)
        sky = np.where((np.abs(distance - 1) < 0.05)[..., None], np.float32(0.05), sky)
    grain = np.random.default_rng(0).normal(0, 0.01, sky.shape)
    picture: ProbeImage = np.clip(sky + grain, 0, 1).astype(np.float32)
    return picture
