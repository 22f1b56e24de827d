"""Warping error of a film: Lai, Huang, Wang, Shechtman, Yumer, Yang, "Learning blind video temporal
consistency", ECCV 2018, section 4.

What a picture shows is sought in the next one by the optical flow of the source; where it changed on the
way, the film flickers. Occlusions and motion boundaries are left out: Ruder, Dosovitskiy, Brox, "Artistic
style transfer for videos", GCPR 2016, after Sundaram, Brox, Keutzer, ECCV 2010. The flow is DIS:
Kroeger, Timofte, Dai, Van Gool, "Fast optical flow using dense inverse search", ECCV 2016.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""H x W x 3 RGB, 0..255."""
Flow = NDArray[np.float32]
"""H x W x 2: how many pixels to the right, and down, each pixel of the first picture went."""
Mask = NDArray[np.bool_]

MAX_FLOW_SIDE = 720
"""Pixels of the short side that flow is sought at, at most. Sought at half of it, the source's own error was
1.4 and 2.1 times as large on two clips of 720p."""
MINIMUM_SIDE = 32
"""Pixels of the shortest side: below, there is nothing for the flow's pyramid to begin with."""


def flow(a: Image, b: Image) -> Flow:
    """Optical flow from `a` to `b`, two pictures of one size, by their luma.

    Pictures whose short side exceeds `MAX_FLOW_SIDE` are shrunk to it first; the flow is in their own pixels
    all the same. Raises ValueError when the sizes differ or a side is shorter than `MINIMUM_SIDE`.
    """
    if a.shape != b.shape or min(a.shape[:2]) < MINIMUM_SIDE:
        raise ValueError(f"shapes {a.shape} and {b.shape}, expected two equal ones, sides >= {MINIMUM_SIDE}")
    height, width = a.shape[:2]
    scale = min(1.0, MAX_FLOW_SIDE / min(height, width))
    size = (round(width * scale), round(height * scale))
    # One object for each call: it keeps buffers, which two threads must not share.
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = search.calc(_grey(a, size), _grey(b, size), None)  # type: ignore[call-overload]  # a gap in its types
    if scale < 1:
        found = cv2.resize(found, (width, height)) * np.array([width / size[0], height / size[1]], np.float32)
    return np.asarray(found, np.float32)


def visible(forward: Flow, backward: Flow) -> Mask:
    """H x W: which pixels of the first picture can be found in the second one (Ruder et al.).

    `forward` runs from the first to the second, `backward` from the second to the first. A pixel is left out
    whose way ends outside the picture, whose way back from there ends elsewhere (occlusion), or where the
    flow changes fast (a motion boundary, along which flow is least sure).
    """
    x, y = _targets(forward)
    height, width = forward.shape[:2]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    sampled = cv2.remap(backward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    there = np.asarray(sampled, np.float32)
    length = _square(forward)
    returns = _square(forward + there) <= 0.01 * (length + _square(there)) + 0.5
    # Without a second row or column there is no change along that side.
    change = sum(_square(np.gradient(forward, axis=axis)) for axis in (0, 1) if forward.shape[axis] > 1)
    return np.asarray(inside & returns & (change <= 0.01 * length + 0.002), np.bool_)


def ewarp(previous: Image, current: Image, flow: Flow, mask: Mask) -> float:
    """Mean squared difference of `previous` and of `current` warped onto it, over the mask (Lai et al.).

    Values in [0, 1], the mean taken over pixels and the three colours: a third of the squared norm's mean.
    `flow` runs from the previous picture to the current one, and both it and `mask` (H x W) are the
    source's, whichever film is measured. Raises ValueError when the sizes differ or the mask is empty.
    """
    if previous.shape != current.shape or not previous.shape[:2] == flow.shape[:2] == mask.shape:
        raise ValueError(f"shapes {previous.shape}, {current.shape}, {flow.shape}, {mask.shape} do not fit")
    if not mask.any():
        raise ValueError("the mask is empty: no pixel is visible in both pictures")
    x, y = _targets(flow)
    # In floating point: rounded to code values, the interpolation itself would flicker.
    warped = cv2.remap(current.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    difference = (previous.astype(np.float32) - warped)[mask]
    return float(np.mean(np.square(difference), dtype=np.float64)) / 255**2


def _grey(image: Image, size: tuple[int, int]) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if (grey.shape[1], grey.shape[0]) != size:
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.uint8)


def _targets(flow: Flow) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Columns and rows in the second picture, each H x W."""
    height, width = flow.shape[:2]
    x = np.arange(width, dtype=np.float32)[None, :] + flow[..., 0]
    y = np.arange(height, dtype=np.float32)[:, None] + flow[..., 1]
    return x, y


def _square(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.einsum("...i,...i->...", vectors, vectors), np.float32)
